// What came back of a question goes to whoever asked.
watch("value", () => {
  if (props.value) document.dispatchEvent(new CustomEvent("what-if", { detail: props.value }));
});
