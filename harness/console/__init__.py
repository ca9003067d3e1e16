"""What a person at a terminal meets: a command's frame, progress, requests to end, parts of an HTML page.

Does not know what the commands do.
Others use: command.hydra_command, command.plainly, progress.Display, interrupt, options, worker_environment, html.
"""
