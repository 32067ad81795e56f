// A strip of example photos; choosing one fills the form.
const render = () => {
  const target = element.querySelector(".examples-root");
  if (!target || !props.value) return;
  target.replaceChildren(el("div", { class: "examples", role: "group", "aria-label": "Example photos" },
    props.value.examples.map((example) => el("button", {
      type: "button", "aria-pressed": String(example.name === props.value.chosen),
      onclick: () => trigger("pick", { name: example.name }),
    }, el("img", { src: example.thumb, alt: "" }), example.title))));
};
watch("value", render);
render();
