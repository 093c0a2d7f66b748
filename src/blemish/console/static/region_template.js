// What the painter of regions draws around its image.
import { SLIDERS, STAGE, TOOLBAR } from "/console/static/painter_template.js";

export const TEMPLATE = `
<section class="painter" aria-label="Painter of regions">
  <header class="head">
    <h1>{{ model ? "Regions of model " + model : "Regions" }}</h1>
    <span class="quiet" :title="image.ref">on {{ image.name }}, {{ image.position }}</span>
    <span class="room"></span>
    <span role="status" class="quiet">{{ progress }}</span>
    <a class="plain" :href="back">{{ model ? "The model" : "Overview" }}</a>
    <button :disabled="image.first || loading" title="Previous image (PageUp)" @click="go(-1)">Previous</button>
    <button :disabled="image.last || loading" title="Next image (PageDown)" @click="go(1)">Next</button>
    <button v-if="mayChange" class="main" :disabled="!unsaved || saving || !mayPaint || needsPaint" title="Save (Ctrl+S)" @click="save">Save</button>
  </header>
  <p v-if="problem" class="problem" role="alert">{{ problem }}</p>
  <p v-if="note" class="quiet" role="status">{{ note }}</p>
  <div v-if="conflict" class="painter-conflict" role="alertdialog" aria-label="Two versions of the regions">
    <span>Somebody else changed the regions. You see <b>{{ conflict === "mine" ? "your version" : "theirs" }}</b>.</span>
    <button @click="showSide(conflict === 'mine' ? 'theirs' : 'mine')">Show {{ conflict === "mine" ? "theirs" : "mine" }}</button>
    <button @click="takeMine">Save mine</button>
    <button @click="takeTheirs">Take theirs</button>
  </div>
  <p v-if="!mayChange" class="quiet">You may look at the regions, not change them.</p>
  <div class="painter-body">
    ${TOOLBAR}
    ${STAGE}
    <aside class="painter-side">
      <fieldset class="painter-types" :disabled="!mayPaint">
        <legend>What you paint</legend>
        <div v-for="kind in types" :key="kind.index" class="painter-type" :class="{ selected: kind.index === type }">
          <label><input type="radio" name="painter-kind" :checked="kind.index === type" @change="choose(kind.index)">
            <span class="swatch" :style="{ background: kind.color }"></span>
            <span class="name">{{ kind.name === "Ignored" ? "is ignored" : "alone counts" }}</span></label>
        </div>
      </fieldset>
      <p class="quiet" v-if="model">A running model uses the regions when it is started again. Its evaluation stays that of the old ones.</p>
      <p class="quiet" v-else>The regions apply to all images of the next model. Look at other images to see whether they fit.</p>
      <p class="quiet" v-if="needsPaint">This model was trained with regions, so it needs some.</p>
      ${SLIDERS}
    </aside>
  </div>
  <dialog ref="sure" class="painter-sure" aria-labelledby="painter-sure">
    <h2 id="painter-sure">Let everything count?</h2>
    <p>No region is painted. The next model looks at the whole image.</p>
    <div class="line"><span class="room"></span>
      <button autofocus @click="$refs.sure.close()">Cancel</button>
      <button class="main" @click="agree">Save without regions</button></div>
  </dialog>
</section>`;
