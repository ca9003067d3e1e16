"""One client for endpoints that speak OpenAI's chat API, the only home of OpenAI's client: cached, within a budget.

Does not know what is asked.
Others use: chat.Chat, chat.Endpoint, spending.Spending, cache.ReplyCache, serve.served.
"""
