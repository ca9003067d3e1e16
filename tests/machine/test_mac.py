"""What is advised on a Mac."""

from collections.abc import Sequence

from harness.machine.mac import mac_advice


def test_a_mac_that_would_sleep_on_battery_is_advised() -> None:
    outputs = {
        "pmset -g assertions": "   PreventUserIdleDisplaySleep    0\n   PreventUserIdleSystemSleep     0\n",
        "pmset -g batt": "Now drawing from 'Battery Power'\n",
        "pmset -g": " lowpowermode         1\n",
        "ps -Aceo comm": "launchd\nGoogle Chrome\nzsh\n",
    }

    def read(command: Sequence[str]) -> str:
        return outputs[" ".join(command)]

    advice = mac_advice(read)
    for index, word in enumerate(("caffeinate -is", "plug it in", "Low Power Mode", "Google Chrome")):
        assert word in advice[index]
    assert not any("caffeinate -d" in line for line in advice)  # a display kept on is what ends long commands


def test_a_mac_that_is_kept_awake_is_left_alone() -> None:
    kept = "   PreventUserIdleDisplaySleep    0\n   PreventUserIdleSystemSleep     1\n"
    assert mac_advice(lambda command: kept if command[-1] == "assertions" else "AC Power") == []


def test_a_display_that_is_kept_on_is_advised_against() -> None:
    kept = "   PreventUserIdleDisplaySleep    1\n   PreventUserIdleSystemSleep     1\n"
    (line,) = mac_advice(lambda command: kept if command[-1] == "assertions" else "AC Power")
    assert "something keeps the display on" in line and "pmset displaysleepnow" in line
