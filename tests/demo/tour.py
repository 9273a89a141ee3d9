"""What `make run` shows: the requests the receiver gets, and what to try next."""

import pathlib

import trace


def show_request(request):
    """One line for a request that the receiver answered."""
    status = trace.paint(request["status"], "good" if request["status"] < 300 else "bad")
    told = "verified" if request["verified"] else trace.plain(request["error"])
    body = trace.paint(trace.plain(request["body"]), "dim")
    print(f"  {status}  {request['path']:<16} attempt {request['ordinal']}, {told}  {body}", flush=True)


def text(ingest, admin, event, module):
    """The page of things to try. Each command works as it stands, from another terminal in the same directory."""
    key = f'-H "Authorization: Bearer $(cat {short(admin.key_file)})"'
    acme = f"{admin.url}/v1/tenants/acme"
    drawn = f"{admin.url}/v1/tenants/{event['tenant']}/events/{event['id']}"
    route = '{"source": "open", "steps": [{"module": "ten-lines"}], "to": {"labels": {"purpose": "records"}}}'
    json = "-H 'Content-Type: application/json'"
    pretty = "| python3 -m json.tool"
    tries = [
        (
            "Send an event. It arrives below.",
            f"""curl -s {ingest}/in/acme/open {json} -d '{{"sender": {{"login": "me"}}}}'""",
        ),
        (
            "Upload a module of ten lines, which adds a summary (tests/guests/ten-lines/src/lib.rs).",
            f"curl -s -X PUT {key} -H 'Content-Type: application/wasm' --data-binary @{short(module)} "
            f"{acme}/modules/ten-lines",
        ),
        (
            "Put it into the route, then send the event again.",
            f"curl -s -X PUT {key} {json} -d '{route}' {acme}/routes/keep-open",
        ),
        ("What came in.", f'curl -s {key} "{acme}/events?limit=3" {pretty}'),
        ("The trace drawn above, as the API has it.", f"curl -s {key} {drawn} {pretty}"),
        ("That event as it came, byte for byte.", f"curl -s {key} {drawn}/body"),
        (
            "What went to one endpoint.",
            f'curl -s {key} "{acme}/deliveries?endpoint=ci&status=delivered&limit=3" {pretty}',
        ),
        (
            "Somebody who does not know GitHub's secret.",
            f"curl -s {ingest}/in/acme/github -H 'X-GitHub-Event: push' -H 'X-Hub-Signature-256: sha256=00' -d '{{}}'",
        ),
        ("Is it well?", f"curl -s {admin.url}/readyz"),
    ]
    return "\n".join(
        [
            trace.paint(
                "Hookswitch is up, with what tests/demo/resources.toml says. Things to try from another terminal:",
                "bold",
            ),
            *(f"\n{trace.paint('# ' + what, 'dim')}\n{command}" for what, command in tries),
            "\nWhat the receiver gets is shown below. Ctrl-C stops it all, and removes what it stored.",
        ]
    )


def short(path):
    """The path from here, where it is below."""
    here, path = pathlib.Path.cwd(), pathlib.Path(path)
    return path.relative_to(here) if path.is_relative_to(here) else path
