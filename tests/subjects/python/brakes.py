"""Why no exchange may start now, and until when."""

FINAL = ("refused", "refused_after_ambiguity", "interaction")


def failure(kind, at=None):
    return {"kind": kind, "retry": "never" if at is None else {"at": at}}


def is_over(failure, now):
    return failure and failure["retry"] != "never" and failure["retry"]["at"] <= now


class Brakes:
    def __init__(self, settings, random):
        self.settings, self.random = settings, random
        self.blocks = {"no_credentials": None}  # The kinds of failures, and until when; None: for good.
        self.starts = []
        self.release()

    def release(self):
        self.attempts = self.unexplained = self.fruitless = 0

    def blocked(self, now):
        return next(((kind, until) for kind, until in self.blocks.items() if until is None or now < until), None)

    def start(self, now):
        """Counts an exchange that starts, or says when the next one may."""
        self.starts = [start for start in self.starts if start + self.settings["rate_window"] > now]
        if len(self.starts) >= self.settings["rate_starts"]:
            return self.starts[0] + self.settings["rate_window"]
        self.starts.append(now)
        return None

    def failed(self, now, kind, wish):
        """An exchange ended so, and the server named this delay."""
        self.unexplained += kind == "unexplained"
        if kind in ("interaction", "invalid_scope"):
            self.blocks["interaction"] = None
        elif kind in ("misconfigured", "invalid_request") or self.unexplained >= 3:
            self.blocks["misconfigured"] = now + self.settings["cool_down"]
        else:
            delay = min(self.settings["backoff_base"] << min(self.attempts, 30), self.settings["backoff_cap"])
            self.attempts += 1
            until = now + max(self.random.randint(0, delay), wish)
            self.blocks["uncertain" if kind == "ambiguous" else "transient"] = until

    def refused(self, again):
        self.blocks["refused_after_ambiguity" if again else "refused"] = None

    def succeeded(self):
        self.blocks = {kind: until for kind, until in self.blocks.items() if kind == "refused_after_refresh"}
        self.attempts = self.unexplained = 0

    def disappointed(self, now):
        """A fresh token was refused that was good for nothing."""
        self.fruitless += 1
        if self.fruitless >= self.settings["breaker"]:
            self.blocks["refused_after_refresh"] = now + self.settings["cool_down"]

    def proved(self):
        """A fresh token was good for something."""
        self.fruitless = 0
        self.blocks.pop("refused_after_refresh", None)

    def signed_in(self):
        """The server's wish for a pause holds, but its reason was another credential's."""
        pauses = [self.blocks[kind] for kind in ("transient", "misconfigured") if kind in self.blocks]
        self.blocks = {"transient": max(pauses)} if pauses else {}
        self.release()

    def signed_out(self):
        self.blocks["signed_out"] = None

    def reset(self, known):
        """The application clears a failure. Says whether it was a final one."""
        final = any(kind in FINAL for kind in self.blocks)
        self.blocks = {} if known else {"no_credentials": None}
        self.release()
        return final
