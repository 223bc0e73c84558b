"""Which codec do people, or a model, prefer?"""
