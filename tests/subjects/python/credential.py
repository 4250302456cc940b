"""The tokens of one identity, and what became of its refresh token."""


class Credential:
    def __init__(self, epoch):
        self.epoch = epoch
        self.token = self.refresh = self.parent = None
        self.refused = self.fresh = False
        self.generation = self.serial = self.presented = self.first_at = self.born = 0

    def is_current(self, token_id):
        return self.token and token_id == self.token["id"]

    def serves(self, end, now):
        return self.token and not self.refused and (self.token[end] is None or now < self.token[end])

    def refuse(self):
        """Says whether the token was fresh: good for nothing so far."""
        fresh, self.refused, self.fresh = self.fresh, True, False
        return fresh

    def latest_send(self, policy, settings, now):
        """By when the refresh token may be presented the next time; only the first time nothing is in doubt."""
        careful = self.serves("hard_end", now) or not policy["last_resort"]
        if not self.presented or not careful:
            return float("inf")
        window = policy.get("window", 0) - settings["exchange_limit"] - settings["skew"]
        return self.first_at + window if self.presented == 1 else 0

    def present(self, now):
        self.presented += 1
        self.first_at = now if self.presented == 1 else self.first_at
        return {"epoch": self.epoch, "serial": self.serial, "refresh": self.refresh, "n": self.presented,
                "begun": now}

    def was_spent_by(self, exchange):
        return (exchange["epoch"], exchange["serial"]) == (self.epoch, self.serial)

    def gives_way_to(self, exchange):
        """Of two successors of one refresh token the later one counts, if the earlier one was not used."""
        later = exchange["serial"] == self.parent and exchange["n"] > self.born and not self.presented
        return self.was_spent_by(exchange) or later

    def install(self, grant, obtained_at, exchange, settings, random):
        lifetime, soft, hard = grant["lifetime"], None, None
        if lifetime is not None:
            soft_margin, hard_margin, jitter = (
                min(margin["at_most"], lifetime * margin["percent"] // 100)
                for margin in (settings["soft_margin"], settings["hard_margin"], settings["jitter"]))
            end = obtained_at + lifetime
            soft, hard = end - soft_margin - random.randint(0, jitter), end - hard_margin
        self.generation += 1
        self.token = {"id": {"epoch": self.epoch, "generation": self.generation},
                      "access_token": grant["access_token"], "soft_end": soft, "hard_end": hard}
        self.refresh = grant["refresh_token"] or (exchange and exchange["refresh"])
        self.refused, self.fresh, self.presented = False, exchange is not None, 0
        self.parent, self.born = (exchange["serial"], exchange["n"]) if exchange else (None, 0)
        self.serial += 1
