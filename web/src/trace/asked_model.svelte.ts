// What those who ask the model must know of the server first: whether it has one, whether it can
// chat, and which SAEs it is read with.
import type { Health, Sae } from '../api/types';
import { api } from '../shell/session.svelte';

export class AskedModel {
  health = $state.raw<Health | null>(null);
  saes = $state.raw<Sae[]>([]);
  canChat = $state(true);
  problem = $state.raw<unknown>(null);

  async connect() {
    this.problem = null;
    try {
      this.health = await api.health();
      if (this.health.model === null) return;
      const [models, saes] = await Promise.all([api.models(), api.saes()]);
      this.canChat = models[0]?.chat ?? true;
      this.saes = saes;
    } catch (error) {
      this.problem = error;
    }
  }
}
