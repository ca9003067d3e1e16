"""What a judge is asked, what of its replies counts, and what follows: blocks, verdicts, ranking, anchors, controls.

Knows texts under blind names. Does not know endpoints, models or tracking: a judge is a callable.
Others use: verdicts.Judge, contest.hold, anchors.win_rate, controls, agreement, rubric.Rubric, blocks.Candidate.
"""
