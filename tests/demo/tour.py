"""What `make run` shows: the requests the receiver gets, and what to try next."""

import trace


def show_request(request):
    """One line for a request that the receiver answered."""
    status = trace.paint(request["status"], "good" if request["status"] < 300 else "bad")
    told = "verified" if request["verified"] else trace.plain(request["error"])
    print(f"  {status}  {request['path']:<16} {request['id']}  attempt {request['ordinal']}, {told}", flush=True)


def text(ingest, admin, event, target):
    """The page of things to try. Each command works as it stands, from another terminal in the repository's directory."""
    key = f'-H "Authorization: Bearer $(cat {admin.key_file})"'
    acme = f"{admin.url}/v1/tenants/acme"
    seen = f"{admin.url}/v1/tenants/{event['tenant']}/events/{event['id']}"
    tries = [
        ("the events of a tenant, newest first", f'curl -s {key} "{acme}/events?limit=3"'),
        ("the trace drawn above", f"curl -s {key} {seen}"),
        ("that event as it came, byte for byte", f"curl -s {key} {seen}/body"),
        ("the deliveries to one endpoint", f'curl -s {key} "{acme}/deliveries?endpoint=ci&status=delivered&limit=3"'),
        ("send an event; watch it arrive in this terminal",
         f"curl -s {ingest}/in/acme/open -H 'content-type: application/json' -d '{{\"hello\": \"world\"}}'"),
        ("upload a module of ten lines",
         f"curl -s -X PUT {key} -H 'content-type: application/wasm' --data-binary @{target}/guests/ten-lines.wasm {acme}/modules/ten-lines"),
        ("put it into a route, then send the event again",
         f"curl -s -X PUT {key} -H 'content-type: application/json' {acme}/routes/keep-open -d "
         '\'{"source": "open", "steps": [{"module": "ten-lines"}], "to": {"labels": {"purpose": "records"}}}\''),
        ("is it well?", f"curl -s {admin.url}/readyz"),
    ]
    lines = [f"\n{trace.paint('# ' + what, 'dim')}\n{command}" for what, command in tries]
    return "\n".join([
        trace.paint("Hookswitch is up, with what tests/demo/resources.toml says. Things to try from another terminal:", "bold"),
        *lines,
        "\nWhat the receiver gets is shown below. Ctrl-C stops it all, and removes what it stored.",
    ])
