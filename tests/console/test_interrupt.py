"""Requests to end: the first is heeded after the update, the next at once, wherever they come from."""

import signal

import pytest

from harness.console.command import plainly
from harness.console.interrupt import Interrupted, gentle_interrupt, requests_collected, requests_heeded


@pytest.mark.parametrize(
    ("number", "why", "code"),
    [
        (signal.SIGINT, "interrupted from the keyboard", 130),
        (signal.SIGTERM, "interrupted by SIGTERM", 143),
        (signal.SIGHUP, "interrupted by SIGHUP", 129),
    ],
)
def test_a_request_is_heeded_after_the_update_and_says_its_signal(number: int, why: str, code: int) -> None:
    said: list[str] = []
    with pytest.raises(Interrupted) as ended, gentle_interrupt(said.append) as asked:
        assert not asked()
        signal.raise_signal(number)
        assert asked(), "and nothing was raised where it struck"
        raise KeyboardInterrupt  # the loop's, once its state is saved
    assert (ended.value.why, ended.value.exit_code) == (why, code)
    assert len(said) == 1 and "stopping after this update; Ctrl-C again: at once" in said[0]


def test_a_request_that_nothing_had_the_time_to_heed_ends_what_follows() -> None:
    with pytest.raises(Interrupted, match="SIGTERM"), gentle_interrupt(lambda text: None):
        signal.raise_signal(signal.SIGTERM)


def test_ctrl_c_again_is_at_once_and_one_closing_told_of_twice_is_not() -> None:
    with pytest.raises(Interrupted, match="keyboard"), gentle_interrupt(lambda text: None):
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGHUP)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
        pytest.fail("not at once")


def test_another_reason_to_leave_is_the_one_that_is_told() -> None:
    stopped = "stopped by harness.sweep"
    with pytest.raises(Interrupted, match=stopped), gentle_interrupt(lambda text: None, lambda: stopped) as asked:
        assert asked()
        raise KeyboardInterrupt


def test_what_is_ignored_stays_ignored_and_all_is_as_before_afterwards() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with requests_heeded(), gentle_interrupt(lambda text: None) as asked:
            signal.raise_signal(signal.SIGHUP)
            assert not asked()
        assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_who_watches_over_others_only_collects_requests() -> None:
    with requests_collected() as requests:
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)
    assert requests == [signal.SIGTERM, signal.SIGINT]


def test_a_command_ends_with_the_signals_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        plainly(lambda: signal.raise_signal(signal.SIGTERM))
    assert ended.value.code == 143 and capsys.readouterr().err == "interrupted by SIGTERM\n"
