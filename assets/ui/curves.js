// Two curves over the share of patches that are hidden: by the order of the map, and by chance. Drawn by hand, in the
// colours of the theme.
const SIZE = { width: 320, height: 150, left: 40, bottom: 26, top: 8, right: 8 };

const curves = (played, at) => {
  const { width, height, left, bottom, top, right } = SIZE;
  const all = [...played.named, ...played.random], low = Math.min(...all), high = Math.max(...all, low + 1e-6);
  const x = (share) => left + share * (width - left - right);
  const y = (distance) => height - bottom - ((distance - low) / (high - low)) * (height - bottom - top);
  const line = (distances, upTo) => distances.slice(0, upTo + 1).map((one, step) => `${x(played.shares[step])},${y(one)}`).join(" ");
  const mean = (distances) => distances.reduce((sum, one) => sum + one, 0) / distances.length;
  const drawn = svg("svg", {
    viewBox: `0 0 ${width} ${height}`, class: "curves", role: "img",
    "aria-label": `Distance while patches are hidden: on average ${fixed(mean(played.named))} in the order of the map, ${fixed(mean(played.random))} in random order`,
  });
  const text = (words, attributes) => {
    const node = svg("text", attributes);
    node.textContent = words;
    drawn.append(node);
  };
  drawn.append(svg("path", { class: "axis", d: `M${left} ${top} V${height - bottom} H${width - right}` }));
  text(fixed(high), { x: left - 5, y: top + 8, "text-anchor": "end" });
  text(fixed(low), { x: left - 5, y: height - bottom, "text-anchor": "end" });
  text("0 %", { x: left, y: height - 12, "text-anchor": "middle" });
  text("100 % hidden", { x: width - right, y: height - 12, "text-anchor": "end" });
  drawn.append(
    svg("polyline", { class: "chance", points: line(played.random, at) }),
    svg("polyline", { class: "named", points: line(played.named, at) }),
    svg("circle", { class: "here", r: 4, cx: x(played.shares[at]), cy: y(played.named[at]) }));
  return drawn;
};
