// Moves the paths of a picture made by touch.py; called with its data.
(data => {
  for (const root of document.querySelectorAll(`[data-touch="${data.name}"]`)) {
    if (root.dataset.ready) continue;
    root.dataset.ready = "yes";
    const find = what => root.querySelector(what), input = find("input"), play = find("button");
    const moving = root.querySelectorAll("path.moves");
    let timer = null;
    const show = () => {
      const frame = Number(input.value);
      moving.forEach((path, number) => path.setAttribute("d", data.paths[number][frame]));
      find("output").textContent = data.told[frame];
      input.setAttribute("aria-valuetext", data.told[frame]);
    };
    const stop = () => { clearInterval(timer); timer = null; play.textContent = "Play"; };
    const step = () => {
      input.value = Number(input.value) + 1;
      show();
      if (input.value === input.max) stop();
    };
    input.addEventListener("input", () => { stop(); show(); });
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (input.value === input.max) input.value = 0;
      play.textContent = "Pause";
      timer = setInterval(step, data.pause);
    });
    find(".bar").hidden = false;
    find(".still").hidden = true;
    show();
  }
})
