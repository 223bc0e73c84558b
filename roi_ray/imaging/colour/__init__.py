"""Convert colours to sRGB: by ICC profiles, and by CICP code points."""
