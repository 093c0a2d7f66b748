// Stores the images of a batch in the project's bucket, and says where they are.
import { inTurns, upload } from "/console/static/send_images.js";

export default {
  props: { uploadUrl: String, disable: Boolean },
  emits: ["uploaded"],
  data: () => ({ total: 0, done: 0, problems: [] }),
  template: `
    <div class="stack">
      <label class="drop small" :class="{ off: disable || done < total }">
        <span>{{ done < total ? say("{done} of {total} images are here", { done, total }) : say("Choose the images of the batch") }}</span>
        <input type="file" multiple accept="image/jpeg,image/png,image/tiff,image/bmp,image/webp" :disabled="disable || done < total" :aria-label="say('Images of the batch')" @change="choose">
      </label>
      <progress v-if="done < total" class="training" :max="total" :value="done" :aria-label="say('Images that are here')"></progress>
      <p v-for="problem in problems" class="problem">{{ problem }}</p>
    </div>`,
  methods: {
    async choose(event) {
      const files = [...event.target.files];
      event.target.value = "";
      const refs = [];
      Object.assign(this, { total: files.length, done: 0, problems: [] });
      await inTurns(files, async (file) => {
        const answer = await upload(this.uploadUrl, file);
        if (answer.problem) this.problems.push(file.name + ": " + answer.problem);
        else refs.push(answer.ref);
        this.done += 1;
      });
      if (refs.length) this.$emit("uploaded", [...new Set(refs)]);
    },
  },
};
