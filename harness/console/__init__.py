"""What a person at a terminal meets: a command's frame, progress, Ctrl-C, parts of an HTML page.

Does not know what the commands do.
Others use: command.hydra_command, command.plainly, progress.Display, interrupt, html.
"""
