"""One training run, from a Config to a finished record: inputs, preflight, training, test, texts, judge, finish.

Knows the order of the phases and what each lets go of. Does not know of searches: what wants to hear of a run, or to
end it, hands in hooks.
Others use: pipeline.train_run, session.Session, context.RunPlace, context.RunHooks, doctor.check_up.
"""
