// Mouse, pen and finger on the images: a drag moves them, a click or tap does not.

const SLACK = { mouse: 4, pen: 6, touch: 10 }; // CSS pixels that a click may wander

/**
 * Call `move(right, down)`, in pixels of the screen, while an image is dragged or the wheel turns, and
 * `tap()` for a click. The wheel scrolls the page where `move` returns that nothing moved.
 */
export function watchPointer(canvas, { move, tap }) {
  let press = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (!event.isPrimary || event.button !== 0) return;
    press = { id: event.pointerId, x: event.clientX, y: event.clientY, movedX: 0, movedY: 0, isDrag: false };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    if (event.pointerId !== press?.id) return;
    const right = event.clientX - press.x, down = event.clientY - press.y;
    if (!press.isDrag) {
      if (Math.hypot(right, down) < (SLACK[event.pointerType] ?? SLACK.touch)) return;
      press.isDrag = true;
      document.body.classList.add("is-moving");
    }
    // Whole pixels, without adding up what was rounded.
    const x = Math.round(right * devicePixelRatio), y = Math.round(down * devicePixelRatio);
    move(press.movedX - x, press.movedY - y);
    [press.movedX, press.movedY] = [x, y];
  });
  const end = (event) => {
    if (event.pointerId !== press?.id) return;
    const isTap = !press.isDrag && event.type === "pointerup";
    press = null;
    document.body.classList.remove("is-moving");
    if (isTap) tap?.();
  };
  canvas.addEventListener("pointerup", end);
  canvas.addEventListener("pointercancel", end);
  canvas.addEventListener("wheel", (event) => {
    if (event.ctrlKey) return; // the browser's zoom
    const unit = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? devicePixelRatio : 40 * devicePixelRatio;
    if (move(event.deltaX * unit, event.deltaY * unit)) event.preventDefault();
  }, { passive: false });
}
