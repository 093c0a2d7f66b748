// What the painter of regions draws around its image.
import { SLIDERS, STAGE, TOOLBAR } from "/console/static/painter_template.js";

export const TEMPLATE = `
<section class="painter" :aria-label="say('Painter of regions')">
  <header class="head">
    <h1>{{ model ? say("Regions of model {version}", { version: model }) : say("Regions") }}</h1>
    <span class="quiet" :title="image.ref">{{ say("on {name}, {position}", image) }}</span>
    <span class="room"></span>
    <span role="status" class="quiet">{{ progress }}</span>
    <a class="plain" :href="back">{{ model ? say("The model") : say("Overview") }}</a>
    <button :disabled="image.first || loading" :title="say('Previous image (PageUp)')" @click="go(-1)">{{ say("Previous") }}</button>
    <button :disabled="image.last || loading" :title="say('Next image (PageDown)')" @click="go(1)">{{ say("Next") }}</button>
    <button v-if="mayChange" class="main" :disabled="!unsaved || saving || !mayPaint || needsPaint" :title="say('Save (Ctrl+S)')" @click="save">{{ say("Save") }}</button>
  </header>
  <p v-if="problem" class="problem" role="alert">{{ problem }}</p>
  <p v-if="note" class="quiet" role="status">{{ note }}</p>
  <div v-if="conflict" class="painter-conflict" role="alertdialog" :aria-label="say('Two versions of the regions')">
    <span>{{ conflict === "mine" ? say("Somebody else changed the regions. You see your version.") : say("Somebody else changed the regions. You see theirs.") }}</span>
    <button @click="showSide(conflict === 'mine' ? 'theirs' : 'mine')">{{ conflict === "mine" ? say("Show theirs") : say("Show mine") }}</button>
    <button @click="takeMine">{{ say("Save mine") }}</button>
    <button @click="takeTheirs">{{ say("Take theirs") }}</button>
  </div>
  <p v-if="!mayChange" class="quiet">{{ say("You may look at the regions, not change them.") }}</p>
  <div class="painter-body">
    ${TOOLBAR}
    ${STAGE}
    <aside class="painter-side">
      <fieldset class="painter-types" :disabled="!mayPaint">
        <legend>{{ say("What you paint") }}</legend>
        <div v-for="kind in types" :key="kind.index" class="painter-type" :class="{ selected: kind.index === type }">
          <label><input type="radio" name="painter-kind" :checked="kind.index === type" @change="choose(kind.index)">
            <span class="swatch" :style="{ background: kind.color }"></span>
            <span class="name">{{ kind.name === "Ignored" ? say("is ignored") : say("alone counts") }}</span></label>
        </div>
      </fieldset>
      <p class="quiet" v-if="model">{{ say("A running model uses the regions when it is started again. Its evaluation stays that of the old ones.") }}</p>
      <p class="quiet" v-else>{{ say("The regions apply to all images of the next model. Look at other images to see whether they fit.") }}</p>
      <p class="quiet" v-if="needsPaint">{{ say("This model was trained with regions, so it needs some.") }}</p>
      ${SLIDERS}
    </aside>
  </div>
  <dialog ref="sure" class="painter-sure" aria-labelledby="painter-sure">
    <h2 id="painter-sure">{{ say("Let everything count?") }}</h2>
    <p>{{ say("No region is painted. The next model looks at the whole image.") }}</p>
    <div class="line"><span class="room"></span>
      <button autofocus @click="$refs.sure.close()">{{ say("Cancel") }}</button>
      <button class="main" @click="agree">{{ say("Save without regions") }}</button></div>
  </dialog>
</section>`;
