/** In the tuner's place in a page, where `PageProgram` does not offer it. */
function absent(): never {
  throw new Error("the compiler for pages has no tuner");
}

export { absent as tunedSchedules, absent as tuneFused };
