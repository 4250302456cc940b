"""A machine that refreshes access tokens, for one process without a store."""
from random import Random

from brakes import Brakes, failure, is_over
from credential import Credential
from outbox import Outbox
from pipe import named, serve


class Machine:
    def __init__(self, settings, seed, now):
        self.settings, self.random, self.now = settings, Random(seed), now
        (self.policy,) = settings["policy"].values()
        self.brakes, self.credential = Brakes(settings, self.random), Credential(epoch=0)
        self.run = self.failure = None  # The exchange that is waited for, or why there is none; neither: idle.
        self.outbox, self.late = Outbox(most=settings["max_waiters"]), {}  # And exchanges that were given up.

    def call(self, now, name, body):
        answer, ticket = None, body.get("ticket") if isinstance(body, dict) else None
        awaited = self.run and self.run["ticket"] == ticket
        if name == "cancel":
            answer = {"cancelled": self.outbox.cancel(body)}
        elif ticket and not awaited and ticket not in self.late:
            answer = "misuse"
        else:
            self.now = max(self.now, now)
            exchange = self.run if awaited else self.late.pop(ticket, None)
            if self.run and self.run["due"] <= self.now and not awaited and name not in ("sign_in", "sign_out"):
                self.late[self.run["ticket"]] = self.run  # The watchdog: nobody answers.
                self.ended(self.run, 0, {"error": "ambiguous"})
            self.failure = None if is_over(self.failure, self.now) else self.failure
            if exchange:
                self.ended(exchange, body.get("sent_at", 0), body.get("result", {"error": "ambiguous"}))
            elif name != "timeout":
                answer = getattr(self, name)(body)
        return self.outbox.reply(answer, self.run, self.failure)

    def acquire(self, _=None):
        ready = self.credential.serves("hard_end", self.now) and {"ready": self.credential.token}
        due = not self.credential.serves("soft_end", self.now)
        if self.run:
            self.run["wanted"] |= due
        elif due:
            self.begin()
        if ready or not self.run:
            return ready or {"failed": self.failure}
        return self.outbox.join() or {"failed": failure("queue_full", self.now)}

    def reject(self, token_id):
        if token_id["epoch"] < self.credential.epoch:
            return {"failed": failure("session_ended")}
        if self.credential.is_current(token_id) and not self.credential.refused:
            self.outbox.publish(None)
            if self.credential.refuse():
                self.brakes.disappointed(self.now)
        return self.acquire()

    def accept(self, token_id):
        if self.credential.is_current(token_id):
            self.credential.fresh = False
            self.brakes.proved()

    def reset(self, _):
        if self.brakes.reset(known=self.credential.epoch > 0):
            self.credential.presented = 0
        self.failure = None

    def sign_in(self, grant):
        self.end_epoch()
        self.brakes.signed_in()
        self.install(grant, self.now)

    def sign_out(self, _):
        self.outbox.revoke(self.credential.refresh)
        self.end_epoch()
        self.brakes.signed_out()
        self.failure = failure("signed_out")

    def end_epoch(self):
        if self.run:
            self.late[self.run["ticket"]] = self.run  # An orphan: what it brings is revoked.
        self.run = self.failure = None
        self.credential = Credential(self.credential.epoch + 1)
        self.outbox.publish(None)
        self.outbox.resolve({"error": failure("session_ended")})

    def begin(self, tried=()):
        """Starts an exchange, or says why not. `tried`: the answers after which it is one of a row."""
        credential, settings = self.credential, self.settings
        latest = credential.latest_send(self.policy, settings, self.now)
        if blocked := self.brakes.blocked(self.now):
            return self.fail(*blocked)
        if not credential.refresh:
            return self.fail("no_refresh_token" if credential.token else "no_credentials")
        if self.now + settings["send_limit"] > latest:
            return self.fail("uncertain", self.now + 1000 if self.policy["last_resort"] else None)
        if until := self.brakes.start(self.now):
            return self.fail("rate_limited", until)
        send_by = min(self.now + settings["send_limit"], latest)
        exchange = credential.present(self.now) | {"send_by": send_by, "tried": tried, "wanted": True}
        self.run, self.failure = self.outbox.exchange(exchange, settings["exchange_limit"]), None

    def ended(self, exchange, sent_at, result):
        awaited, current = exchange is self.run, self.credential.was_spent_by(exchange)
        self.run = None if awaited else self.run
        if "ok" in result:
            return self.succeeded(exchange, sent_at, result["ok"])
        (kind, wish), = named(result["error"])
        if kind == "permanent" and current:
            self.brakes.refused(again=exchange["n"] > 1)
        if awaited and current and kind != "permanent":
            return self.failed(exchange, kind, min(wish or 0, self.settings["max_retry_after"]))
        if awaited and exchange["wanted"]:
            self.begin()

    def succeeded(self, exchange, sent_at, grant):
        if exchange["epoch"] < self.credential.epoch:
            self.outbox.revoke(grant["refresh_token"])
        elif self.credential.gives_way_to(exchange):
            self.brakes.succeeded()
            self.install(grant, min(max(sent_at, exchange["begun"]), self.now), exchange)

    def failed(self, exchange, kind, wish):
        n, tried = exchange["n"], exchange["tried"]
        if kind == "ambiguous" and n == 1 and "window" in self.policy and not wish:
            return self.begin(tried)
        self.credential.presented = n - (kind != "ambiguous")
        too_late = kind == "not_sent" and self.now > exchange["send_by"]
        if (too_late or kind in ("invalid_request", "invalid_scope")) and kind not in tried:
            return self.begin(tried + (kind,))  # At once, and once.
        self.brakes.failed(self.now, kind, wish)
        self.begin()  # Says what the matter is.

    def install(self, grant, obtained_at, exchange=None):
        if self.credential.token and not self.credential.refused:
            self.brakes.proved()
        self.credential.install(grant, obtained_at, exchange, self.settings, self.random)
        self.failure = None
        if self.run:
            self.run["wanted"] = False
        self.outbox.publish(self.credential.token)
        self.outbox.resolve({"ok": self.credential.token})

    def fail(self, kind, at=None):
        self.failure = failure(kind, at)
        self.outbox.resolve({"error": self.failure})


serve("machine.py", {"shared": False, "ambient": False, "policies": ["once", "never"]}, Machine)
