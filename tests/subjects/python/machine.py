"""A machine that refreshes access tokens, for one process without a store. It speaks the protocol of ../../PROTOCOL.md."""
import json, random, sys

PROFILE = {"shared": False, "ambient": False, "policies": ["once", "never"]}
FINAL = ("refused", "refused_after_ambiguity", "interaction")
SECOND = 1000


def failure(kind, at=None):
    return {"kind": kind, "retry": "never" if at is None else {"at": at}}


class Machine:
    def __init__(self, settings, seed, now):
        self.settings, self.random = settings, random.Random(seed)
        (self.policy,) = settings["policy"].values()
        self.now, self.epoch, self.tickets = now, 0, 0
        self.waiters = self.attempts = self.unexplained = self.fruitless = 0
        self.run = self.failure = None  # The exchange that is waited for, or why there is none; neither: idle.
        self.late, self.starts, self.waiting = {}, [], []  # Exchanges that were given up, latest starts, callers.
        self.blocks = {"no_credentials": None}  # Why no exchange may start, and until when; None: for good.
        self.forget()

    def forget(self):
        self.token, self.refresh, self.parent, self.refused, self.fresh = None, None, None, False, False
        self.generation = self.serial = self.presented = self.first_at = self.born = 0

    def call(self, now, name, body):
        self.outputs, self.effects, answer = [], [], None
        ticket = body.get("ticket") if isinstance(body, dict) else None
        awaited = self.run and self.run["ticket"] == ticket
        if name == "cancel":
            answer, self.waiting = {"cancelled": body in self.waiting}, [w for w in self.waiting if w != body]
        elif ticket and not awaited and ticket not in self.late:
            answer = "misuse"
        else:
            self.now = max(self.now, now)
            exchange = self.run if awaited else self.late.pop(ticket, None)
            if self.run and self.run["due"] <= self.now and not awaited and name not in ("sign_in", "sign_out"):
                self.late[self.run["ticket"]] = self.run  # The watchdog: nobody answers.
                self.ended(self.run, 0, {"error": "ambiguous"})
            if self.failure and self.failure["retry"] != "never" and self.failure["retry"]["at"] <= self.now:
                self.failure = None
            if exchange:
                self.ended(exchange, body.get("sent_at", 0), body.get("result", {"error": "ambiguous"}))
            elif name != "timeout":
                answer = getattr(self, name)(body)
        state = "refreshing" if self.run else {"failed": self.failure} if self.failure else "idle"
        return {"answer": answer or "none", "outputs": self.outputs + self.effects, "state": state,
                "timeout": self.run and self.run["due"], "settled": not self.run}

    def acquire(self, _=None):
        ready = self.serves("hard_end") and {"ready": self.token}
        if self.run:
            self.run["wanted"] |= not self.serves("soft_end")
        elif not self.serves("soft_end"):
            self.begin()
        if ready or not self.run:
            return ready or {"failed": self.failure}
        if len(self.waiting) >= self.settings["max_waiters"]:
            return {"failed": failure("queue_full", self.now)}
        self.waiters += 1
        self.waiting.append(self.waiters)
        return {"wait": self.waiters}

    def reject(self, token):
        if token["epoch"] < self.epoch:
            return {"failed": failure("session_ended")}
        if self.token and token == self.token["id"] and not self.refused:
            self.outputs.append({"publish": None})
            self.refused, fresh, self.fresh = True, self.fresh, False
            self.fruitless += fresh
            if fresh and self.fruitless >= self.settings["breaker"]:
                self.blocks["refused_after_refresh"] = self.now + self.settings["cool_down"]
        return self.acquire()

    def accept(self, token):
        if self.token and token == self.token["id"]:
            self.fresh = False
            self.prove()

    def prove(self):  # Fresh tokens are good for something.
        self.fruitless = 0
        self.blocks.pop("refused_after_refresh", None)

    def reset(self, _):
        self.presented = 0 if any(kind in FINAL for kind in self.blocks) else self.presented
        self.blocks = {} if self.epoch else {"no_credentials": None}
        self.failure = None
        self.attempts = self.unexplained = self.fruitless = 0

    def sign_in(self, grant):
        self.end_epoch()
        # The server's wish for a pause holds, but its reason was another credential's.
        pauses = [self.blocks[kind] for kind in ("transient", "misconfigured") if kind in self.blocks]
        self.blocks = {"transient": max(pauses)} if pauses else {}
        self.attempts = self.unexplained = self.fruitless = 0
        self.install(grant, self.now)

    def sign_out(self, _):
        self.revoke(self.refresh)
        self.end_epoch()
        self.blocks, self.failure = {**self.blocks, "signed_out": None}, failure("signed_out")

    def end_epoch(self):
        if self.run:
            self.late[self.run["ticket"]] = self.run  # An orphan: what it brings is revoked.
        self.run = self.failure = None
        self.forget()
        self.epoch += 1
        self.outputs.append({"publish": None})
        self.resolve({"error": failure("session_ended")})

    def serves(self, end):
        return self.token and not self.refused and (self.token[end] is None or self.now < self.token[end])

    def begin(self, tried=()):
        s, n, latest = self.settings, self.presented + 1, float("inf")
        if n > 1 and (self.serves("hard_end") or not self.policy["last_resort"]):
            in_window = self.first_at + self.policy.get("window", 0) - s["exchange_limit"] - s["skew"]
            latest = in_window if n == 2 else 0
        for kind, until in self.blocks.items():
            if until is None or self.now < until:
                return self.fail(kind, until)
        if not self.refresh:
            return self.fail("no_refresh_token" if self.token else "no_credentials")
        if self.now + s["send_limit"] > latest:
            return self.fail("uncertain", self.now + SECOND if self.policy["last_resort"] else None)
        self.starts = [start for start in self.starts if start + s["rate_window"] > self.now]
        if len(self.starts) >= s["rate_starts"]:
            return self.fail("rate_limited", self.starts[0] + s["rate_window"])
        self.starts.append(self.now)
        self.tickets, self.presented, self.failure = self.tickets + 1, n, None
        self.first_at = self.now if n == 1 else self.first_at
        send_by, limit = min(self.now + s["send_limit"], latest), s["exchange_limit"]
        self.run = {"ticket": self.tickets, "epoch": self.epoch, "serial": self.serial, "refresh": self.refresh, "n": n,
                    "begun": self.now, "send_by": send_by, "due": send_by + limit + SECOND, "tried": tried,
                    "wanted": True}
        self.effects.append({"run": {"exchange": {"ticket": self.tickets, "refresh_token": self.refresh,
                                                  "send_by": send_by, "limit": limit,
                                                  "without_scope": "invalid_scope" in tried}}})

    def ended(self, exchange, sent_at, result):
        awaited, n = exchange is self.run, exchange["n"]
        current = (exchange["epoch"], exchange["serial"]) == (self.epoch, self.serial)
        self.run = None if awaited else self.run
        if "ok" in result:
            if exchange["epoch"] < self.epoch:
                return self.revoke(result["ok"]["refresh_token"])
            # Of two successors of one refresh token the later one counts, if the earlier one was not used.
            if current or (exchange["serial"] == self.parent and n > self.born and not self.presented):
                self.blocks = {kind: until for kind, until in self.blocks.items() if kind == "refused_after_refresh"}
                self.attempts = self.unexplained = 0
                self.install(result["ok"], min(max(sent_at, exchange["begun"]), self.now), exchange)
        kind, after = result.get("error"), 0
        if isinstance(kind, dict):
            ((kind, wish),) = kind.items()
            after = min(wish or 0, self.settings["max_retry_after"])
        if kind == "permanent" and current:
            self.blocks["refused_after_ambiguity" if n > 1 else "refused"] = None
        if not awaited or "ok" in result:
            return None
        if not current or kind == "permanent":
            return self.begin() if exchange["wanted"] else None
        tried = exchange["tried"]
        if kind == "ambiguous" and n == 1 and "window" in self.policy and not after:
            return self.begin(tried)
        self.presented = n - (kind != "ambiguous")
        too_late = kind == "not_sent" and self.now > exchange["send_by"]
        if (too_late or kind in ("invalid_request", "invalid_scope")) and kind not in tried:
            return self.begin(tried + (kind,))  # At once, and once.
        self.unexplained += kind == "unexplained"
        if kind in ("interaction", "invalid_scope"):
            self.blocks["interaction"] = None
        elif kind in ("misconfigured", "invalid_request") or self.unexplained >= 3:
            self.blocks["misconfigured"] = self.now + self.settings["cool_down"]
        else:
            delay = min(self.settings["backoff_base"] << min(self.attempts, 30), self.settings["backoff_cap"])
            self.attempts += 1
            until = self.now + max(self.random.randint(0, delay), after)
            self.blocks["uncertain" if kind == "ambiguous" else "transient"] = until
        self.begin()  # Says what the matter is.

    def install(self, grant, obtained_at, exchange=None):
        lifetime, s = grant["lifetime"], self.settings
        soft = hard = None
        if lifetime is not None:
            soft, hard, jitter = (obtained_at + lifetime - min(margin["at_most"], lifetime * margin["percent"] // 100)
                                  for margin in (s["soft_margin"], s["hard_margin"], s["jitter"]))
            soft -= self.random.randint(0, obtained_at + lifetime - jitter)
        if self.token and not self.refused:
            self.prove()
        self.generation += 1
        self.token = {"id": {"epoch": self.epoch, "generation": self.generation},
                      "access_token": grant["access_token"], "soft_end": soft, "hard_end": hard}
        self.refresh = grant["refresh_token"] or (exchange and exchange["refresh"])
        self.refused, self.fresh, self.failure, self.presented = False, exchange is not None, None, 0
        self.parent, self.born = (exchange["serial"], exchange["n"]) if exchange else (None, 0)
        self.serial += 1
        if self.run:
            self.run["wanted"] = False
        self.outputs.append({"publish": self.token})
        self.resolve({"ok": self.token})

    def fail(self, kind, at=None):
        self.failure = failure(kind, at)
        self.resolve({"error": self.failure})

    def resolve(self, outcome):
        self.outputs += [{"resolve": {"waiter": waiter, "outcome": outcome}} for waiter in self.waiting]
        self.waiting = []

    def revoke(self, refresh):
        if refresh:
            self.effects.append({"run": {"revoke": {"refresh_token": refresh}}})


def main():
    machines = {}
    for line in sys.stdin:
        (kind, body), = json.loads(line).items()
        if kind == "hello":
            answer = {"hello": {"version": 1, "name": "machine.py", "profile": PROFILE}}
        elif kind == "start":
            machines[body["process"]] = Machine(body["settings"], body["seed"], body["now"])
            answer = "started"
        else:
            name = body["input"]
            (name, argument), = name.items() if isinstance(name, dict) else [(name, None)]
            answer = {"reply": machines[body["process"]].call(body["now"], name, argument)}
        print(json.dumps(answer), flush=True)


main()
