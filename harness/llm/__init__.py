"""One client for endpoints that speak OpenAI's chat API, the only home of OpenAI's client: cached, within a budget.

Knows what of a body counts, when to try again, and how the key is kept. Does not know what is asked.
Others use: chat.Chat, many.answers, endpoint.Endpoint, spending.Spending, cache.ReplyCache, serve.served.
"""
