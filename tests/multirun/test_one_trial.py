"""One trial that is asked for, as it is told to the process that tries it and to people."""

from harness.multirun.one_trial import OneTrial, one_trial


def test_the_process_that_is_told_of_one_trial_reads_the_same() -> None:
    one = OneTrial("0a1b", 12)
    assert one_trial(one.environment) == one and one_trial({}) is None


def test_the_command_that_tries_it_again_can_be_typed() -> None:
    one = OneTrial("0a1b", 2)
    assert one.command(tracking_uri=None, storage=None) == "python -m harness.sweep resume 0a1b --trial 2"
    said = one.command(tracking_uri="http://host:5000", storage="postgresql://u@h/d")
    assert said.endswith("--trial 2 --tracking-uri http://host:5000 --storage postgresql://u@h/d")
