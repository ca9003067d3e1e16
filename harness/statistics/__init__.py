"""What may be said of several numbers at once, and of the best of many.

Knows arrays. Does not know files, models, judges or runs.
Others use: pairs.reach_of_pairs, choice.left_out_loss, choice.may_be_best, choice.reach_of_best,
gain.paired_gain, gain.gain_of_chosen.
"""
