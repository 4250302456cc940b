"""What the driver has to do, in order, and the callers who wait for it."""


class Outbox:
    def __init__(self, most):
        self.most, self.callers, self.waiting = most, 0, []
        self.outputs, self.effects, self.tickets = [], [], 0

    def reply(self, answer, run, failure):
        """What came of a call, with all that was put here since the last one."""
        outputs, self.outputs, self.effects = self.outputs + self.effects, [], []
        state = "refreshing" if run else {"failed": failure} if failure else "idle"
        return {"answer": answer or "none", "outputs": outputs, "state": state,
                "timeout": run and run["due"], "settled": not run}

    def join(self):
        """A caller waits from now on; `None` if too many do."""
        if len(self.waiting) >= self.most:
            return None
        self.callers += 1
        self.waiting.append(self.callers)
        return {"wait": self.callers}

    def cancel(self, caller):
        waits = caller in self.waiting
        self.waiting = [other for other in self.waiting if other != caller]
        return waits

    def publish(self, token):
        self.outputs.append({"publish": token})

    def resolve(self, outcome):
        self.outputs += [{"resolve": {"waiter": waiter, "outcome": outcome}} for waiter in self.waiting]
        self.waiting = []

    def exchange(self, run, limit):
        self.tickets += 1
        self.effects.append({"run": {"exchange": {
            "ticket": self.tickets, "refresh_token": run["refresh"], "send_by": run["send_by"], "limit": limit,
            "without_scope": "invalid_scope" in run["tried"]}}})
        return run | {"ticket": self.tickets, "due": run["send_by"] + limit + 1000}

    def revoke(self, refresh):
        if refresh:
            self.effects.append({"run": {"revoke": {"refresh_token": refresh}}})
