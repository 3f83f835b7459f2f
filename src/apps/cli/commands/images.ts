/** `tombolo sandbox load` and `images`: which program of this machine runs under which image name. */
import { fileExists, isDirectory, joinPath, resolvePath } from "../../../io/host/files.ts";
import { environment } from "../../../io/host/processes.ts";
import { listImages, loadImage } from "../../sandbox/images/catalogue.ts";
import { homeOf } from "../../sandbox/machine.ts";
import { type Command, columns, UsageError } from "../command.ts";

const isProgram = (path: string): boolean => fileExists(path) && !isDirectory(path);

/** Pods start elsewhere: a path is made absolute; a bare name is looked up on the PATH that `sandbox up` had. */
function programOf(word: string): { readonly program: string; readonly isThere: boolean } {
  if (word.includes("/")) {
    const program = resolvePath(word);
    return { program, isThere: isProgram(program) };
  }
  const folders = (environment()["PATH"] ?? "").split(":");
  return { program: word, isThere: folders.some((folder) => isProgram(joinPath(folder, word))) };
}

export const load: Command = {
  path: ["sandbox", "load"],
  summary: "Map an image name to a program of this machine",
  details: `The sandbox pulls no images: a pod whose image is IMAGE runs PROGRAM. IMAGE is a whole name, or a repository for all
its tags. A container's command replaces PROGRAM and its arguments, its args are added. The mapping holds at once, also
for pods that wait in ErrImagePull, and until 'tombolo sandbox down'.`,
  positional: "IMAGE -- PROGRAM [ARG...]",
  flags: {},
  examples: [
    "tombolo sandbox load registry.example/shop/cart:1.2 -- ./cart --port 8080",
    "tombolo sandbox load python -- python3",
  ],
  async run(shell, flags) {
    const [image, word, ...args] = flags.positionals;
    if (image === undefined || word === undefined) {
      const mapped = image ?? "IMAGE";
      throw new UsageError(`Say which program the image is: tombolo sandbox load ${mapped} -- PROGRAM [ARG...]`);
    }
    if (/\s/.test(image) || image === "") throw new UsageError(`"${image}" is not the name of an image.`);
    const { program, isThere } = programOf(word);
    await loadImage(homeOf(environment()), image, [program, ...args]);
    if (!isThere)
      shell.note(`Warning: there is no program "${program}" on this machine yet; pods of ${image} will fail.`);
    shell.out(`${image} runs ${[program, ...args].join(" ")}\n`);
    return 0;
  },
};

export const images: Command = {
  path: ["sandbox", "images"],
  summary: "List the image names that the sandbox can run",
  details:
    "Names match without registry host, tag and digest. Your own mappings ('tombolo sandbox load') come first and win.",
  flags: {},
  async run(shell) {
    const listed = await listImages(homeOf(environment()));
    const rows = listed.map(({ image, says, isOwn }) => [image, isOwn ? `${says} (yours)` : says] as const);
    shell.out(`${columns(rows)}\n`);
    return 0;
  },
};
