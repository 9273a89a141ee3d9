"""The books of a demo run. Three parties kept their own: who sent, the host, and who received. Here they must agree.

Pure: what was recorded comes in, numbers and a list of what does not balance go out.
"""

import collections
import json

from expected import expected_deliveries

COUNTS = ["sent", "accepted", "filtered", "deliveries", "delivered", "retried", "verified", "lost", "duplicated"]


class Ledger:
    """`counts` has a number for each of COUNTS; `problems` is empty if all three books agree."""

    def __init__(self, answers, events, deliveries, requests):
        """Takes the sender's answers, the host's {id: event with runs} and {id: delivery}, the receiver's requests."""
        self.counts = collections.Counter({name: 0 for name in COUNTS})
        self.problems = []
        accepted = self.compare_answers(answers, events)
        self.compare_runs(accepted, events, deliveries)
        self.compare_requests(accepted, events, deliveries, requests)

    def __str__(self):
        return "ledger: " + " ".join(f"{name}={self.counts[name]}" for name in COUNTS)

    def check(self, holds, problem):
        if not holds:
            self.problems.append(problem)
        return holds

    def compare_answers(self, answers, events):
        """Sender and host: each event was accepted once, and the host has it. Answers {event id: what was sent}."""
        accepted, id_of_guid = {}, {}
        for sent in (answer for answer in answers if not answer["again"]):
            self.counts["sent"] += 1
            what = f"{sent['tenant']}: {sent['name']} example {sent['example']}"
            if not self.check(sent["status"] == 202, f"{what} was not accepted: {sent['status']} {sent['answer']}"):
                continue
            answer = json.loads(sent["answer"])
            id_of_guid[sent["guid"]] = answer["id"]
            if not self.check(
                not answer.get("duplicate"), f"{what} was new, but taken for a duplicate of {answer['id']}"
            ):
                continue
            self.check(answer["id"] not in accepted, f"{answer['id']} was given to two events")
            self.counts["accepted"] += 1
            accepted[answer["id"]] = sent
            if answer["id"] not in events:
                self.counts["lost"] += 1
                self.problems.append(f"{answer['id']} was accepted, but the host does not list it")
        for sent in (answer for answer in answers if answer["again"]):
            recognised = {"id": id_of_guid.get(sent["guid"]), "duplicate": True}
            self.check(
                sent["status"] == 202 and json.loads(sent["answer"]) == recognised,
                f"GitHub delivery {sent['guid']}, sent again, was not recognised: {sent['status']} {sent['answer']}",
            )
        for event_id in events.keys() - accepted.keys():
            self.problems.append(f"{event_id} is listed by the host, but nobody sent it")
        return accepted

    def compare_runs(self, accepted, events, deliveries):
        """Inside the host: every run ended well, and made the deliveries that the routes promise for its payload."""
        claimed = collections.Counter()
        for event_id in accepted.keys() & events.keys():
            sent, event, made = accepted[event_id], events[event_id], collections.Counter()
            self.check(
                event["event_type"] == sent["name"],
                f"{event_id} is a {event['event_type']}, but a {sent['name']} was sent",
            )
            for run in event["runs"]:
                self.check(
                    run["status"] in ("routed", "filtered"),
                    f"{event_id}: its run through {run['route']} is {run['status']}: {run.get('failure')}",
                )
                claimed.update(run["deliveries"])
                made.update(deliveries[id]["endpoint"] for id in run["deliveries"] if id in deliveries)
            promised = expected_deliveries(sent["tenant"], sent["name"], sent["example"])
            self.check(
                made == promised,
                f"{event_id} ({sent['name']} of {sent['tenant']}) should go to "
                f"{dict(promised) or 'nobody'}, but went to {dict(made) or 'nobody'}",
            )
            if not any(run["deliveries"] for run in event["runs"]):
                self.counts["filtered"] += 1
        for delivery_id in claimed.keys() ^ deliveries.keys():
            self.problems.append(f"{delivery_id} is known to only one of: its run, the list of deliveries")
        for delivery_id, runs in claimed.items():
            self.check(runs == 1, f"{delivery_id} is claimed {runs} times")

    def compare_requests(self, accepted, events, deliveries, requests):
        """Host and receiver: each delivery arrived, verified, and was taken exactly once."""
        by_id = collections.defaultdict(list)
        for request in requests:
            by_id[request["id"]].append(request)
        for webhook_id in by_id.keys() - deliveries.keys():
            self.problems.append(f"the receiver got webhook-id {webhook_id or '(none)'}, which the host does not list")
        event_of = {
            id: event_id for event_id, event in events.items() for run in event["runs"] for id in run["deliveries"]
        }
        for delivery_id, delivery in deliveries.items():
            got = by_id[delivery_id]
            taken = sum(request["status"] // 100 == 2 for request in got)
            verified = bool(got) and all(request["verified"] for request in got)
            path = f"/{delivery['tenant']}/{delivery['endpoint']}"
            self.counts["deliveries"] += 1
            self.counts["delivered"] += delivery["status"] == "delivered" and taken > 0
            self.counts["retried"] += len(got) > 1
            self.counts["verified"] += verified
            self.counts["lost"] += taken == 0
            self.counts["duplicated"] += taken > 1
            self.check(
                taken == 1 and delivery["status"] == "delivered",
                f"{delivery_id} to {path} is {delivery['status']}; the receiver took it {taken} times",
            )
            self.check(verified, f"{delivery_id} to {path} did not verify: {[request['error'] for request in got]}")
            self.check(all(request["path"] == path for request in got), f"{delivery_id} for {path} went elsewhere too")
            self.check(
                delivery["attempts"] == len(got),
                f"{delivery_id} to {path}: the host counts {delivery['attempts']} attempts, the receiver {len(got)}",
            )
            sent = accepted.get(event_of.get(delivery_id))
            if delivery["body"] == "event" and sent:
                self.check(
                    all(request["sha256"] == sent["sha256"] for request in got),
                    f"{delivery_id} to {path} should be the event byte for byte, and is not",
                )
