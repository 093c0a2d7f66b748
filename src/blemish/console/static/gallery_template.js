// What the gallery is made of; gallery.js brings it to life.

export const TEMPLATE = `
<div class="gallery">
  <div class="gallery-line">
    <div class="gallery-chips" role="group" :aria-label="say('Show')">
      <button v-for="[name, title] in chips" :key="name" type="button" class="chip" :data-filter="name"
        :aria-pressed="filter === name" @click="show(name)">
        {{ title }} <span class="count">{{ number(counts[name]) }}</span>
      </button>
    </div>
    <select v-if="typeNames.length" :aria-label="say('Anomaly type')" v-model="type" @change="ask">
      <option value="">{{ say("Any anomaly type") }}</option>
      <option v-for="name in typeNames" :key="name" :value="name">{{ name }} ({{ counts.types?.[name] ?? 0 }})</option>
    </select>
    <div class="room"></div>
    <input type="search" :aria-label="say('Search by name')" :placeholder="say('Search by name')" v-model="text" @input="typed">
    <select :aria-label="say('Sort by')" v-model="sort" @change="sorted">
      <option value="name">{{ say("By name") }}</option>
      <option value="date">{{ say("Newest label first") }}</option>
      <option value="score">{{ say("Most anomalous first") }}</option>
      <option value="suspect">{{ say("Likely wrong labels first") }}</option>
      <option value="teaching">{{ say("Labels that teach most first") }}</option>
    </select>
  </div>
  <div class="gallery-line">
    <button type="button" class="act normal" v-if="labels" @click="label('normal')">{{ say("Normal") }} <kbd>N</kbd></button>
    <button type="button" class="act anomaly" v-if="labels" @click="label('anomaly')">{{ say("Anomaly") }} <kbd>A</kbd></button>
    <button type="button" class="act" v-if="labels" @click="label(null)">{{ say("No label") }} <kbd>U</kbd></button>
    <button v-if="labels" type="button" class="act" :disabled="!undoable" title="Ctrl+Z" @click="undo">{{ say("Undo") }}</button>
    <span class="split"></span>
    <button type="button" class="act" @click="selectPage">{{ say("Select page") }}</button>
    <button type="button" class="act" @click="selectAll">{{ say("Select all {number}", { number: number(total) }) }}</button>
    <button type="button" class="act" :disabled="!selectedCount" @click="clear">{{ say("Clear") }}</button>
    <span class="selected-count" aria-live="polite">{{ selectedCount ? say("{number} selected", { number: number(selectedCount) }) : "" }}</span>
    <div class="room"></div>
    <span class="saving" role="status">{{ saving ? say("Saving\u2026") : saved ? say("Saved") : "" }}</span>
    <button type="button" class="act remove" v-if="removes" :disabled="!selectedCount" @click="$refs.sure.showModal()">{{ say("Remove\u2026") }}</button>
  </div>
  <div v-if="ranking && ranking.state !== 'done'" class="gallery-line ranking">
    <span v-if="ranking.problem" class="quiet">{{ ranking.problem }}</span>
    <template v-if="ranking.state === 'running'"><span role="status">{{ say("The model looks at the images") }}</span>
      <progress :value="ranking.done" :max="ranking.total" :aria-label="say('Judged images')"></progress></template>
    <template v-else-if="ranking.may"><span>{{ say("The model has not judged all of these images yet.") }}</span>
      <button type="button" class="act" @click="rank">{{ say("Let it judge them") }}</button></template>
  </div>
  <div v-if="problem" class="problem gallery-problem" role="alert">
    <span>{{ problem }}</span><button type="button" class="act" @click="problem = ''">{{ say("Close") }}</button>
  </div>
  <div class="gallery-sheet">
    <div ref="view" class="gallery-view" tabindex="0" role="listbox" aria-multiselectable="true"
     :aria-label="say('Images')" :aria-activedescendant="total ? 'image-' + cursor : null" :aria-busy="total === null"
      @scroll.passive="scrolled" @keydown="pressed" @click="clicked" @dblclick="opened">
      <div class="gallery-room" role="presentation" :style="{ height: room + 'px' }">
        <div v-for="cell in cells" :key="cell.index" :id="'image-' + cell.index" role="option"
          :data-index="cell.index" :class="cell.classes" :style="cell.style" :aria-selected="cell.selected"
          :aria-setsize="total" :aria-posinset="cell.index + 1" :aria-label="cell.title" :title="cell.title">
          <div class="shot" role="presentation">
            <img v-if="cell.source" :src="cell.source" alt="" decoding="async" draggable="false" @error="broken(cell.index)">
            <img v-if="cell.mask" class="overlay" :src="cell.mask" alt="" decoding="async" draggable="false">
            <span v-else-if="cell.lost" class="lost">{{ cell.lost }}</span>
          </div>
          <div class="caption" role="presentation"><i class="dot"></i><span class="name">{{ cell.name }}</span><span v-if="cell.extra" class="extra">{{ cell.extra }}</span></div>
        </div>
      </div>
    </div>
    <div v-if="total === 0" class="empty gallery-none">
      <h2>{{ say("No image is like that") }}</h2><p>{{ say("Choose another filter, or search for another part of a name.") }}</p>
      <button type="button" class="act" @click="showEverything">{{ say("Show all") }}</button>
    </div>
  </div>
  <div class="gallery-line foot">
    <span v-if="!missing.length && total !== null" class="pill good">{{ say("Enough to train") }}</span>
    <a v-if="!missing.length && total !== null" :href="training">{{ say("Train a model") }}</a>
    <template v-if="missing.length"><span class="quiet">{{ say("Before training:") }}</span><span v-for="need in missing" :key="need" class="pill warning">{{ need }}</span></template>
    <div class="room"></div>
    <span class="quiet keys"><template v-if="labels"><kbd>N</kbd> <kbd>A</kbd> {{ say("label and go on \u00b7") }} </template><kbd>{{ say("Space") }}</kbd> {{ say("select \u00b7") }} <kbd>Shift</kbd> {{ say("range \u00b7") }} <kbd>Enter</kbd> {{ say("paint \u00b7") }} <kbd>Ctrl+Z</kbd> {{ say("undo") }}</span>
  </div>
  <dialog ref="sure" class="gallery-sure" aria-labelledby="gallery-sure">
    <h2 id="gallery-sure">{{ counted(selectedCount, "Remove {count} image from this set?", "Remove {count} images from this set?") }}</h2>
    <p>Their labels go with them; the files stay in their bucket. Undo brings them back.</p>
    <div class="gallery-line"><div class="room"></div>
      <button type="button" class="act" autofocus @click="$refs.sure.close()">{{ say("Keep them") }}</button>
      <button type="button" class="act anomaly" @click="remove">{{ say("Remove") }}</button></div>
  </dialog>
</div>`;
