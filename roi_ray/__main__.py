"""`python -m roi_ray` is `roi-ray`."""

from roi_ray.cli.app import main

if __name__ == "__main__":
    main()
