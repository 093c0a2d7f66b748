// Code to paste, with a button that copies it. The clipboard is there on https and localhost alone:
// elsewhere the code is selected, so that one more key copies it.
export default {
  props: { code: String, name: String },
  data: () => ({ message: "" }),
  template: `
    <div class="code">
      <pre ref="code" tabindex="0" role="region" :aria-label="name">{{ code }}</pre>
      <button type="button" class="small" :aria-label="say('Copy: {name}', { name })" @click="copy">{{ message || say("Copy") }}</button>
    </div>`,
  methods: {
    async copy() {
      try {
        await navigator.clipboard.writeText(this.code);
        this.message = "Copied";
      } catch {
        getSelection().selectAllChildren(this.$refs.code);
        this.message = say("Selected: press Ctrl+C");
      }
      setTimeout(() => (this.message = ""), 3000);
    },
  },
};
