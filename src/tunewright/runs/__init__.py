"""Run folders: written, opened, listed, compared, reproduced, certified."""
