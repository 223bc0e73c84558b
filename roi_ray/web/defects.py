"""Log errors that nobody expected."""

from roi_ray.runtime.logs import LOGGER, escape_line


def log_defect(path: str, error: BaseException) -> None:
    """Log an error in one line, with the place that raised it; its traceback on the level `debug`.

    Args:
        path: path of the request.
        error: the error.
    """
    place, trace = "", error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        place, trace = f"{code.co_filename}:{trace.tb_lineno} in {code.co_name}", trace.tb_next
    text = f"{path}: {type(error).__name__}: {error} ({place})"
    LOGGER.error("%s", escape_line(text))
    LOGGER.debug("%s", escape_line(path), exc_info=error)
