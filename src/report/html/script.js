"use strict";
(() => {
  const all = (what, inside = document) => [...inside.querySelectorAll(what)];
  const held = (inside) => {
    const script = inside.querySelector('script[type="application/json"]');
    return script && JSON.parse(script.textContent);
  };
  const minus = (text) => text.replaceAll("-", "\u2212");
  const shown = (v) => {
    if (v === null || v === undefined) return "\u2013";
    const size = Math.abs(v);
    if (size !== 0 && (size < 1e-4 || size >= 1e15)) return minus(v.toExponential(3).replace("e+", "e"));
    const digits = size === 0 ? 0 : Math.floor(Math.log10(size));
    return minus(v.toLocaleString("en-US", { maximumFractionDigits: Math.max(3 - digits, 0) }));
  };

  // Light and dark: what the system says, until somebody chooses.
  const root = document.documentElement;
  const store = (value) => { try { localStorage.setItem("ganvil-theme", value); } catch { /* no storage here */ } };
  try {
    const kept = localStorage.getItem("ganvil-theme");
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch { /* no storage here */ }
  document.querySelector(".theme").addEventListener("click", () => {
    const now = root.dataset.theme || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
    root.dataset.theme = now === "dark" ? "light" : "dark";
    store(root.dataset.theme);
  });

  for (const button of all(".copy")) {
    button.addEventListener("click", async () => {
      const code = button.parentElement.querySelector("code");
      try {
        await navigator.clipboard.writeText(code.textContent);
      } catch {
        getSelection().selectAllChildren(code);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  for (const box of all(".frames")) {
    const slider = box.querySelector("input"), others = held(box);
    if (!slider || !others) continue;
    const image = box.querySelector("img.shown"), caption = image.parentElement.querySelector("figcaption");
    const frames = [...others, [image.src, caption.textContent]];
    // Decoded before they are asked for.
    const ready = frames.map(([url]) => Object.assign(new Image(), { src: url }));
    const play = box.querySelector(".play");
    let timer = 0;
    const show = () => {
      const [url, text] = frames[slider.value];
      image.src = url;
      image.alt = caption.textContent = text;
      slider.setAttribute("aria-valuetext", text);
    };
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      play.textContent = "\u25b6";
      play.setAttribute("aria-label", "Play");
    };
    slider.addEventListener("input", () => { stop(); show(); });
    play.addEventListener("click", () => {
      if (timer) return stop();
      if (+slider.value === ready.length - 1) slider.value = 0;
      show();
      play.textContent = "\u275a\u275a";
      play.setAttribute("aria-label", "Pause");
      timer = setInterval(() => {
        slider.value = +slider.value + 1;
        show();
        if (+slider.value === ready.length - 1) stop();
      }, Math.max(180, Math.min(600, 6000 / ready.length)));
    });
  }

  // The values at the pointer stand in place of the last ones in the legend.
  for (const plot of all(".plot")) {
    const data = held(plot), area = plot.querySelector(".area"), at = plot.querySelector(".at");
    if (!data || !data.x.length) continue;
    const keys = all(".key:not(.mark)", plot), values = keys.map((key) => key.querySelector("b"));
    const last = values.map((value) => value.textContent);
    const lines = data.kind === "lines", count = data.x.length;
    const [x0, x1, y0, y1] = lines ? data.range : [];
    const place = (i) => (lines ? (data.x[i] - x0) / (x1 - x0) : (i + 0.5) / count);
    const cursor = Object.assign(document.createElement("div"), { className: "cursor" });
    const dots = lines ? keys.map((key) => {
      const dot = document.createElement("div");
      dot.className = `dot ${key.className.replace("key ", "")}`;
      return dot;
    }) : [];
    let now = -1;
    const show = (i) => {
      now = Math.max(0, Math.min(count - 1, i));
      cursor.style.left = `${100 * place(now)}%`;
      area.append(cursor);
      at.textContent = lines ? `${data.label} ${shown(data.x[now])}` : `${data.label} ${data.x[now]}`;
      values.forEach((value, s) => {
        const v = data.y[s][now];
        value.textContent = lines ? shown(v) : v;
        if (!lines) return;
        const height = v === null ? NaN : ((data.log ? Math.log10(v) : v) - y0) / (y1 - y0);
        if (height >= 0 && height <= 1) {
          dots[s].style.left = `${100 * place(now)}%`;
          dots[s].style.bottom = `${100 * height}%`;
          area.append(dots[s]);
        } else dots[s].remove();
      });
    };
    const leave = () => {
      now = -1;
      cursor.remove();
      dots.forEach((dot) => dot.remove());
      at.textContent = "";
      values.forEach((value, s) => { value.textContent = last[s]; });
    };
    const nearest = (event) => {
      const box = area.getBoundingClientRect(), part = (event.clientX - box.left) / box.width;
      if (!lines) return Math.floor(part * count);
      let low = 0, high = count - 1;
      while (low < high) {
        const middle = (low + high) >> 1;
        if (place(middle) < part) low = middle + 1; else high = middle;
      }
      return low > 0 && part - place(low - 1) < place(low) - part ? low - 1 : low;
    };
    area.addEventListener("pointermove", (event) => show(nearest(event)));
    area.addEventListener("pointerdown", (event) => show(nearest(event)));
    area.addEventListener("pointerleave", leave);
    area.addEventListener("blur", leave);
    area.addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step) return;
      event.preventDefault();
      show(now < 0 ? (step < 0 ? count - 1 : 0) : now + step);
    });
  }

  const links = new Map(all("nav a").map((a) => [a.getAttribute("href").slice(1), a]));
  if ("IntersectionObserver" in window) {
    const watch = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        if (!entry.isIntersecting) continue;
        links.forEach((a) => a.classList.remove("on"));
        links.get(entry.target.id)?.classList.add("on");
      }
    }, { rootMargin: "-20% 0px -75% 0px" });
    all("section").forEach((section) => watch.observe(section));
  }
})();
