"""What every other room needs and what needs none of them: errors, configs, plugins, stages, files.

No audio, no torch.
"""
