// What the painters draw around their image: this one, and that of regions, which shares its parts.
export const TOOLBAR = `
    <div class="painter-tools" role="toolbar" :aria-label="say('Tools')" aria-orientation="vertical">
      <template v-if="mayChange">
      <button v-for="item in tools" :key="item.name" :disabled="!mayPaint" :aria-pressed="tool === item.name"
        :aria-label="item.title" :title="item.title + ' (' + item.key.toUpperCase() + ')'" @click="pick(item.name)">
        <q-icon :name="item.icon" size="20px" aria-hidden="true"></q-icon></button>
      <hr>
      <button :disabled="!painted || !mayPaint" :aria-label="say('Erase the mask')" :title="say('Erase the mask')" @click="eraseAll"><q-icon name="layers_clear" size="20px" aria-hidden="true"></q-icon></button>
      <button :disabled="!undoable" :aria-label="say('Undo')" :title="say('Undo (Ctrl+Z)')" @click="undo"><q-icon name="undo" size="20px" aria-hidden="true"></q-icon></button>
      <button :disabled="!redoable" :aria-label="say('Redo')" :title="say('Redo (Ctrl+Shift+Z)')" @click="redo"><q-icon name="redo" size="20px" aria-hidden="true"></q-icon></button>
      </template>
      <button :aria-pressed="hidden" :aria-label="say('Hide the mask')" :title="say('Hide the mask (H)')" @click="hidden = !hidden"><q-icon name="visibility_off" size="20px" aria-hidden="true"></q-icon></button>
      <hr>
      <button :aria-label="say('Zoom in')" :title="say('Zoom in (+)')" @click="zoomBy(1.25)"><q-icon name="zoom_in" size="20px" aria-hidden="true"></q-icon></button>
      <button :aria-label="say('Zoom out')" :title="say('Zoom out (-)')" @click="zoomBy(0.8)"><q-icon name="zoom_out" size="20px" aria-hidden="true"></q-icon></button>
      <button :aria-label="say('Fit')" :title="say('Fit (0)')" @click="fit"><q-icon name="fit_screen" size="20px" aria-hidden="true"></q-icon></button>
      <button aria-label="100 %" title="100 % (1)" class="words" @click="zoomTo(1)">1:1</button>
      <span class="quiet percent">{{ Math.round(percent) }} %</span>
    </div>`;
export const STAGE = `
    <div class="painter-stage" ref="stage" tabindex="0" role="img" :data-tool="tool" :class="{ moving, ready }"
      :aria-label="stageTitle"
      @pointerdown="down" @pointermove="move" @pointerup="up" @pointercancel="up" @pointerleave="leave"
      @dblclick="closePolygon" @contextmenu.prevent>
      <canvas ref="canvas"></canvas>
      <svg ref="sketch" aria-hidden="true">
        <polyline ref="polygonBelow" class="below"></polyline><polyline ref="polygonAbove"></polyline>
        <circle ref="ringBelow" class="below"></circle><circle ref="ringAbove"></circle>
        <path ref="cross"></path><path ref="corners" class="corners"></path>
      </svg>
      <p v-if="loading" class="painter-wait">{{ say("Opening the image") }}</p>
    </div>`;
export const SLIDERS = `
      <label class="slider"><span>{{ say("Brush size") }} <b>{{ size }} px</b></span>
        <input type="range" min="0" max="100" :value="sizeStep" :aria-label="say('Brush size')" :aria-valuetext="say('{number} pixels', { number: size })" @input="sizeFrom($event.target.value)"></label>
      <label v-if="tool === 'wand'" class="slider"><span>{{ say("Tolerance of the wand") }} <b>{{ tolerance }}</b></span>
        <input type="range" min="0" max="128" v-model.number="tolerance" :aria-label="say('Tolerance of the wand')"></label>
      <label class="slider"><span>{{ say("Mask opacity") }} <b>{{ opacity }} %</b></span>
        <input type="range" min="0" max="100" v-model.number="opacity" :aria-label="say('Mask opacity')"></label>
      <label class="slider"><span>{{ say("Brightness") }} <b>{{ brightness }} %</b></span>
        <input type="range" min="20" max="400" step="5" v-model.number="brightness" :aria-label="say('Brightness of the image')" @dblclick="brightness = 100"></label>
      <label class="slider"><span>{{ say("Contrast") }} <b>{{ contrast }} %</b></span>
        <input type="range" min="20" max="400" step="5" v-model.number="contrast" :aria-label="say('Contrast of the image')" @dblclick="contrast = 100"></label>
      <button v-if="brightness !== 100 || contrast !== 100" @click="brightness = contrast = 100">{{ say("Show the image as it is") }}</button>
      <details><summary>{{ say("Keys") }}</summary>
        <dl class="painter-keys"><template v-for="[key, does] in keys" :key="key"><dt>{{ key }}</dt><dd>{{ does }}</dd></template></dl>
      </details>`;
export const TEMPLATE = `
<section class="painter" :aria-label="say('Painter')">
  <header class="head">
    <h1 :title="image.ref">{{ image.name }}</h1>
    <span :class="['pill', label]">{{ say(label || "no label") }}</span>
    <span class="quiet">{{ image.position }}</span>
    <span class="room"></span>
    <span role="status" class="quiet">{{ progress }}</span>
    <a class="plain" :href="back">{{ say("All images") }}</a>
    <button :disabled="image.first || loading" :title="say('Previous image (PageUp)')" @click="go(-1)">{{ say("Previous") }}</button>
    <button :disabled="image.last || loading" :title="say('Next image (PageDown)')" @click="go(1)">{{ say("Next") }}</button>
    <button v-if="mayChange" class="main" :disabled="!unsaved || saving || !mayPaint" :title="say('Save (Ctrl+S)')" @click="save">{{ say("Save") }}</button>
  </header>
  <p v-if="problem" class="problem" role="alert">{{ problem }}</p>
  <p v-if="note" class="quiet" role="status">{{ note }}</p>
  <p v-if="isAside && !conflict" class="warning">{{ say("The mask does not count while the image is not an anomaly. Press A to use it again.") }}</p>
  <div v-if="conflict" class="painter-conflict" role="alertdialog" :aria-label="say('Two versions of this image')">
    <span>{{ conflict === "mine" ? say("Somebody else changed this image. You see your version.") : say("Somebody else changed this image. You see theirs.") }}</span>
    <button @click="showSide(conflict === 'mine' ? 'theirs' : 'mine')">{{ conflict === "mine" ? say("Show theirs") : say("Show mine") }}</button>
    <button @click="takeMine">{{ say("Save mine") }}</button>
    <button @click="takeTheirs">{{ say("Take theirs") }}</button>
  </div>
  <div v-if="suggested" class="painter-conflict" role="status">
    <span>{{ say("Model {version} would add what you see.", { version: suggested }) }}</span>
    <button class="main" :title="say('Accept (Enter)')" @click="acceptSuggestion">{{ say("Accept") }}</button>
    <button :title="say('Drop (Esc)')" @click="dropSuggestion">{{ say("Drop") }}</button>
  </div>
  <p v-if="!mayChange" class="quiet">{{ say("You may look at this image, not change it.") }}</p>
  <div class="painter-body">
    ${TOOLBAR}
    ${STAGE}
    <aside class="painter-side">
      <fieldset v-if="mayChange" class="segments" :disabled="!mayPaint">
        <legend>{{ say("This image is") }}</legend>
        <label v-for="choice in ['normal', 'anomaly']" :key="choice" :class="{ selected: label === choice }">
          <input type="radio" name="painter-label" :value="choice" :checked="label === choice" @change="setLabel(choice)">{{ say(choice) }}</label>
      </fieldset>
      <button v-if="mayChange" :disabled="!mayPaint || !ready || suggesting" :title="say('Suggest a mask (S)')" @click="suggest">
        <q-icon name="lightbulb" size="18px" aria-hidden="true"></q-icon> {{ suggesting ? say("The model looks") : say("Suggest a mask") }}</button>
      <fieldset class="painter-types">
        <legend>{{ say("Anomaly types") }}</legend>
        <p v-if="!types.length" class="quiet">{{ say("Name what can be wrong, then paint it.") }}</p>
        <div v-for="anomaly in types" :key="anomaly.index" class="painter-type" :class="{ selected: anomaly.index === type }">
          <template v-if="renaming === anomaly.index">
            <input :ref="focusIt" v-model="newName" :aria-label="say('New name of {name}', { name: anomaly.name })" maxlength="100"
              @keydown.enter.prevent="rename(anomaly)" @keydown.escape.stop="renaming = 0" @blur="renaming = 0">
          </template>
          <template v-else>
            <label :title="say('{name}, on {number} images', { name: anomaly.name, number: anomaly.used })"><input type="radio" name="painter-type" :checked="anomaly.index === type" @change="choose(anomaly.index)">
              <span class="swatch" :style="{ background: anomaly.color }"></span>
              <span class="name">{{ anomaly.name }}</span><span class="quiet">{{ anomaly.used }}</span></label>
            <button v-if="mayChange" :aria-label="say('Rename {name}', { name: anomaly.name })" :title="say('Rename')" @click="startRenaming(anomaly)"><q-icon name="edit" size="16px" aria-hidden="true"></q-icon></button>
            <button v-if="mayChange" :disabled="!!anomaly.used || counts[anomaly.index] > 0" :aria-label="say('Delete {name}', { name: anomaly.name })"
              :title="anomaly.used || counts[anomaly.index] > 0 ? say('It is in use, so it stays') : say('Delete')" @click="drop(anomaly)"><q-icon name="delete" size="16px" aria-hidden="true"></q-icon></button>
          </template>
        </div>
        <form v-if="mayChange" class="line" @submit.prevent="add">
          <input ref="adding" v-model="addedName" :placeholder="say('Such as scratch')" :aria-label="say('Name of a new anomaly type')" maxlength="100">
          <button :disabled="!addedName.trim()">{{ say("Add") }}</button>
        </form>
      </fieldset>
      ${SLIDERS}
    </aside>
  </div>
  <dialog ref="sure" class="painter-sure" aria-labelledby="painter-sure">
    <h2 id="painter-sure">{{ say("Save without a mask?") }}</h2>
    <p>{{ say("The stored mask of this image is erased. Nothing brings it back after that.") }}</p>
    <div class="line"><span class="room"></span>
      <button autofocus @click="$refs.sure.close()">{{ say("Keep the mask") }}</button>
      <button class="main" @click="agree">{{ say("Save without it") }}</button></div>
  </dialog>
</section>`;
