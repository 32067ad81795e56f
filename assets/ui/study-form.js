// A questionnaire: every kind of question with the browser's own controls.

const answerOf = (item, form) => {
  const given = form.elements[item.id];
  const value = given instanceof RadioNodeList ? given.value : given?.value ?? "";
  if (value === "") return null;
  return item.kind === "text" ? value : Number(value);
};
const radios = (item, values) => el("div", { class: item.kind === "scale" ? "scale" : "options", role: "radiogroup", "aria-labelledby": `q-${item.id}` },
  item.from ? el("span", { class: "end" }, item.from) : null,
  values.map(([value, words]) => el("label", {}, el("input", { type: "radio", name: item.id, value: String(value) }), el("span", {}, words))),
  item.to ? el("span", { class: "end" }, item.to) : null);
const control = (item) => {
  if (item.kind === "choice") return radios(item, item.choices.map((words, at) => [at, words]));
  if (item.kind === "scale") return radios(item, Array.from({ length: item.steps }, (_, at) => [at + 1, String(at + 1)]));
  if (item.kind === "number") return el("input", { type: "number", name: item.id, min: item.low, max: item.high, step: "any", "aria-labelledby": `q-${item.id}` });
  return el("textarea", { name: item.id, rows: "3", maxlength: "2000", "aria-labelledby": `q-${item.id}` });
};
// The form of a view; send gets {item: answer}.
const questionnaire = (view, send) => {
  const fields = view.form.items.map((item) => el("fieldset", { id: `f-${item.id}` },
    el("legend", { id: `q-${item.id}` }, item.text, item.optional ? el("small", {}, ` (${t("form_optional")})`) : null),
    control(item), el("p", { class: "problem", role: "alert", hidden: true }, t("form_missing"))));
  const form = el("form", { class: "form", novalidate: true, onsubmit: (event) => {
    event.preventDefault();
    const answers = Object.fromEntries(view.form.items.map((item) => [item.id, answerOf(item, form)]));
    const wrong = view.form.items.filter((item, at) => {
      const number = form.elements[item.id];
      const bad = (answers[item.id] === null && !item.optional) || (item.kind === "number" && !number.checkValidity());
      fields[at].lastChild.hidden = !bad;
      return bad;
    });
    if (wrong.length) return form.querySelector(`#f-${wrong[0].id} :is(input, textarea)`).focus();
    send(answers, form.querySelector("button"));
  } }, fields, el("button", { class: "primary" }, t("form_go")));
  return form;
};
