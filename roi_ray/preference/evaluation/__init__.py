"""How well does a model predict what people choose?"""
