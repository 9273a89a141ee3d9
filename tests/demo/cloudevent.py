"""Whether the published CloudEvents SDKs, PyPI's and npm's, read of a delivery what was sent, and refuse what lacks an attribute; and what they
send to a source."""

import base64
import datetime
import json
import urllib.parse

from cloudevents.core.bindings import http
from cloudevents.core.exceptions import CloudEventValidationError
from cloudevents.core.v1.event import CloudEvent

TYPE = 'order."created".100%'
SOURCE = "/acme/in"
TIME_SLACK_S = 600


def wrong(headers, body, payloads):
    """What PyPI's SDK reads otherwise than it was sent, in words; none where all is well."""
    event = http.from_http_event(http.HTTPMessage(headers, body))
    for name, sent in {"id": headers["webhook-id"], "source": SOURCE, "type": TYPE}.items():
        read = event.get_attributes()[name]
        if read != sent:
            return f"{name} is {read!r}, not {sent!r}"
    age = datetime.datetime.now(datetime.timezone.utc) - event.get_time()
    if not 0 <= age.total_seconds() < TIME_SLACK_S:
        return f"time is {event.get_time()}"
    return wrong_data(event.get_data(), event.get_datacontenttype(), payloads)


def content_type(payload):
    """What a payload is sent as."""
    try:
        json.loads(payload)
        return "application/json"
    except ValueError:
        return "text/plain"


def wrong_data(data, media_type, payloads):
    """Data that is none of what was sent with this media type, in words."""
    sent = [payload for payload in payloads if content_type(payload) == media_type]
    if media_type == "application/json":
        found = data in [json.loads(payload) for payload in sent]
    else:
        found = (data.decode() if isinstance(data, bytes) else data or "") in sent
    return None if found else f"data of {media_type} is {str(data)[:40]!r}"


def is_refused(headers, body):
    """Whether PyPI's SDK refuses the same without its type."""
    try:
        if "ce-type" in headers:
            headers = {name: value for name, value in headers.items() if name != "ce-type"}
        else:
            body = json.dumps({name: value for name, value in json.loads(body).items() if name != "type"}).encode()
        http.from_http_event(http.HTTPMessage(headers, body))
        return False
    except CloudEventValidationError:
        return True


def wrong_by_npm(read, headers, payloads):
    """The same for what npm's SDK read: `cloudevents.mjs` writes it as JSON. It leaves the percent-encoding of headers to its callers."""
    if "refused" in read:
        return read["refused"]
    event_type = urllib.parse.unquote(read["type"]) if "ce-type" in headers else read["type"]
    if (read["id"], read["source"], event_type) != (headers["webhook-id"], SOURCE, TYPE):
        return f"it read {read}"
    data = base64.b64decode(read["data_base64"]) if read.get("data_base64") else read.get("data")
    return wrong_data(data, read["datacontenttype"], payloads)


def fields(library, mode):
    """What an event says that an SDK sends. npm's leaves the percent-encoding of headers to its callers, so nothing needs it there."""
    if library == "npm" and mode == "binary":
        return {"id": f"{library}-{mode}", "source": "/shop", "type": "order.created"}
    return {"id": f"{library} {mode} gr\u00fcn", "source": "/shop", "type": TYPE}


def made():
    """Events that PyPI's SDK makes, in headers and in JSON: [{"headers", "body"}]."""
    messages = []
    for mode, write in [("binary", http.to_binary_event), ("structured", http.to_structured_event)]:
        attributes = {**fields("cloudevents", mode), "datacontenttype": "application/json"}
        messages.append(write(CloudEvent(attributes=attributes, data={"n": 1})))
    return [{"headers": message.headers, "body": message.body} for message in messages]


def wrong_when_stored(stored, library, mode):
    """What a host has stored otherwise than it was meant, in words; none where all is well."""
    meant = fields(library, mode)
    found, wanted = (stored["event_type"], stored["dedup_key"]), (meant["type"], f"{meant['source']} {meant['id']}")
    return None if found == wanted else f"it is {found}, not {wanted}"
