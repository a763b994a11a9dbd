// The surfaces as the renderer holds them, kept equal to the daemon's by its snapshots and events.

import { Catalog, MessageProcessor } from '@a2ui/web_core/v0_9';
import { basicCatalog } from '@a2ui/lit/v0_9';

/** The catalogs that the renderer draws whole. */
export const DRAWN = [basicCatalog.id];

/** The daemon's own catalog: what the basic one lacks is left out, and reported. */
const extended = new Catalog(
  'urn:carport:a2ui:catalog:extended:1',
  [...basicCatalog.components.values()],
  [...basicCatalog.functions.values()],
  basicCatalog.themeSchema,
);

const version = 'v0.9';

/**
 * `onChange(id, isNew)` hears of a surface that is there or has changed, `isNew` if its element must be made
 * anew; `onGone(id)` of one that is not there any more; `onError(id, error, isEarly)` of what the
 * renderer refused, `isEarly` if the surface has no data yet, so that functions miss theirs; `onAction(action, dataModel)` of what a person did.
 */
export class Surfaces {
  #revisions = new Map();
  #queue = Promise.resolve();
  #tell;
  #processor;

  constructor(tell) {
    this.#tell = tell;
    const acted = (action) => tell.onAction(action, this.#sent(action.surfaceId));
    this.#processor = new MessageProcessor([basicCatalog, extended], acted);
  }

  #sent(id) {
    const surface = this.get(id);
    return surface?.sendDataModel ? surface.dataModel.get('/') : undefined;
  }

  get(id) {
    return this.#processor.model.getSurface(id);
  }

  revision(id) {
    return this.#revisions.get(id) ?? 0;
  }

  ids() {
    return [...this.#revisions.keys()];
  }

  /**
   * Takes the surfaces of a snapshot: those it knows in this revision keep what was typed into them. Revisions are
   * those of one life of a daemon: of another life's, `isOther`, nothing is known.
   */
  take(surfaces, isOther) {
    if (isOther) this.ids().forEach((id) => this.#drop(id));
    const there = new Set(surfaces.map((it) => it.surfaceId));
    for (const id of this.ids()) if (!there.has(id)) this.#drop(id);
    for (const it of surfaces) if (it.revision !== this.revision(it.surfaceId)) this.#replace(it);
  }

  /** Follows an event. `replay(id)` asks the daemon for a surface when an event before it was missed. */
  hear(event, replay) {
    this.#queue = this.#queue.then(() => this.#follow(event, replay)).catch((error) => {
      this.#tell.onError(event.result.surfaceId, error);
    });
  }

  async #follow({ kind, result, revision, baseRevision, envelopes }, replay) {
    const id = result.surfaceId;
    const mine = this.revision(id);
    if (revision <= mine) return;
    if (kind === 'a2ui.surface_deleted') return this.#drop(id);
    if (kind !== 'a2ui.surface_updated') return;
    if (baseRevision === mine) return this.#apply(id, revision, envelopes);
    const surface = await replay(id);
    if (surface) this.#replace(surface);
    else this.#drop(id);
  }

  #replace({ surfaceId, catalogId, theme, sendDataModel, components, dataModel, revision }) {
    this.#drop(surfaceId);
    const envelopes = [
      { version, createSurface: { surfaceId, catalogId, theme: theme ?? undefined, sendDataModel } },
      { version, updateDataModel: { surfaceId, path: '/', value: dataModel } },
    ];
    if (components.length) envelopes.push({ version, updateComponents: { surfaceId, components } });
    this.#apply(surfaceId, revision, envelopes);
  }

  /** The stock element does not see that its root has become another component: it is made anew then. */
  #apply(id, revision, envelopes) {
    const root = () => this.get(id)?.componentsModel.get('root')?.type;
    const before = root();
    const isNew = !this.get(id);
    try {
      this.#processor.processMessages(envelopes);
      if (isNew) this.#listen(id);
    } catch (error) {
      this.#tell.onError(id, error);
    }
    this.#revisions.set(id, revision);
    this.#tell.onChange(id, isNew || (before !== undefined && before !== root()));
  }

  #listen(id) {
    const { dataModel, onError } = this.get(id);
    const isEarly = () => Object.keys(dataModel.get('/') ?? {}).length === 0;
    onError.subscribe((error) => this.#tell.onError(id, error, isEarly()));
  }

  #drop(id) {
    if (!this.#revisions.delete(id)) return;
    this.#processor.processMessages([{ version, deleteSurface: { surfaceId: id } }]);
    this.#tell.onGone(id);
  }
}
