"""Whether a checkpoint goes into use: better than the champion by more than the noise, and whatever else is asked.

Knows the champion, the rows that chose nothing, and what became of the checks. Does not know how a check works, nor the
alias that moves.
Others use: contenders.Challenger, contenders.champion_of, decision.Gate, decision.against, page.page, page.tags.
"""
