"""Speaks the protocol of the conformance kit on behalf of a machine: ../../PROTOCOL.md."""
import json
import sys


def serve(name, profile, machine):
    """`machine(settings, seed, now)` makes one; its `call(now, name, argument)` answers with a reply."""
    machines = {}
    for line in sys.stdin:
        (kind, body), = json.loads(line).items()
        if kind == "hello":
            answer = {"hello": {"version": 1, "name": name, "profile": profile}}
        elif kind == "start":
            machines[body["process"]] = machine(body["settings"], body["seed"], body["now"])
            answer = "started"
        else:
            (call, argument), = named(body["input"])
            answer = {"reply": machines[body["process"]].call(body["now"], call, argument)}
        print(json.dumps(answer), flush=True)


def named(value):
    """A value with alternatives is a word, or an object with one member."""
    return value.items() if isinstance(value, dict) else [(value, None)]
