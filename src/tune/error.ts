/** There are no sizes that the program allows, or it has a region that no schedule fits. */
export class TuneError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "TuneError";
  }
}
