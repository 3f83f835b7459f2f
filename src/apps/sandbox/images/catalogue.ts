/**
 * What runs under an image name: the sandbox pulls nothing, a name leads to a program of this machine. Built-in recipes plus
 * the user's own, kept in a file of the sandbox's state directory. Matching is pure.
 */
import { fileExists, joinPath, readText, writeAtomically } from "../../../io/host/files.ts";

export interface Recipe {
  readonly entrypoint: readonly string[];
  /** Default arguments, which `args` of the container replaces. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly workingDir: string;
  /** Programs that the image has on its PATH under a name of its own, for a container's `command`: name → argv. */
  readonly programs: Readonly<Record<string, readonly string[]>>;
}

export interface BuiltIn {
  /** Repository without registry host and tag, such as `mccutchen/go-httpbin`. */
  readonly repositories: readonly string[];
  readonly says: string;
  readonly recipe: (programs: Programs) => Partial<Recipe>;
}

/** Where Tombolo's own programs are on this machine. */
export interface Programs {
  readonly node: string;
  /** Directory of the built programs. */
  readonly dist: string;
  readonly envoy: string;
}

const shell = (says: string, ...repositories: string[]): BuiltIn => ({
  repositories,
  says,
  recipe: () => ({ entrypoint: [], command: ["/bin/sh"] }),
});

const program = (name: string, says: string, ...repositories: string[]): BuiltIn => ({
  repositories,
  says,
  recipe: ({ node, dist, envoy }) => ({
    entrypoint: [node, joinPath(dist, `${name}.js`)],
    env: { TOMBOLO_ENVOY: envoy },
  }),
});

/** httpbin of Python listens on port 80 under gunicorn, httpbin of Go on 8080 (or `$PORT`, `-port`). */
function httpbin(says: string, flavour: "go" | "python", ...repositories: string[]): BuiltIn {
  const programName = flavour === "go" ? "go-httpbin" : "gunicorn";
  return {
    repositories,
    says,
    recipe: ({ node, dist }) => {
      const argv = [node, joinPath(dist, "httpbin.js"), ...(flavour === "go" ? [] : ["--flavour=python"])];
      return { entrypoint: argv, programs: { [programName]: argv } };
    },
  };
}

const builtIns: readonly BuiltIn[] = [
  program("tombolod", "Tombolo's control plane", "tombolo/tombolod"),
  program("agent", "Tombolo's agent", "tombolo/agent"),
  program("ledger", "the sample app ledger", "tombolo/ledger"),
  program("tcp", "the sample app tcp", "tombolo/tcp"),
  httpbin("the sample app httpbin", "go", "tombolo/httpbin", "mccutchen/go-httpbin"),
  httpbin("the sample app httpbin as the Python one", "python", "kennethreitz/httpbin"),
  {
    repositories: ["envoyproxy/envoy", "envoyproxy/envoy-distroless"],
    says: "this machine's Envoy",
    recipe: ({ envoy }) => ({ entrypoint: [envoy], command: ["-c", "/etc/envoy/envoy.yaml"] }),
  },
  {
    repositories: ["curlimages/curl", "curl/curl"],
    says: "this machine's curl",
    recipe: () => ({ entrypoint: ["curl"], command: ["--help"] }),
  },
  {
    repositories: ["pause", "google_containers/pause"],
    says: "a program that only waits",
    recipe: () => ({ entrypoint: ["sleep", "2147483647"] }),
  },
  shell("this machine's programs", "nicolaka/netshoot", "alpine", "busybox", "debian", "ubuntu", "bash"),
  shell(
    "this machine's programs",
    "e2e-test-images/busybox",
    "alpine/curl",
    "governmentpaas/curl-ssl",
    "python",
    "node",
  ),
];

/** Shown as ErrImagePull; the sentence says what to do. */
export class ImageProblem extends Error {}

/** Without registry host, tag and digest: `registry.example/library/alpine:3.20` is `alpine`. */
export function repositoryOf(image: string): string {
  const [named = ""] = image.split("@", 1);
  const parts = named.split("/");
  const [first = ""] = parts;
  const hasHost = parts.length > 1 && (/[.:]/.test(first) || first === "localhost");
  const path = (hasHost ? parts.slice(1) : parts).join("/");
  const untagged = path.replace(/:[^/:]*$/, "");
  return untagged.replace(/^library\//, "");
}

export interface UserMapping {
  /** A whole image name, or a repository. */
  readonly image: string;
  readonly argv: readonly string[];
}

/** `user` first, so that a mapping can replace a built-in recipe. */
export function recipeFor(image: string, user: readonly UserMapping[], programs: Programs): Recipe | undefined {
  const repository = repositoryOf(image);
  const own = user.find((one) => one.image === image) ?? user.find((one) => repositoryOf(one.image) === repository);
  const builtIn = builtIns.find(({ repositories }) => repositories.includes(repository));
  const found = own === undefined ? builtIn?.recipe(programs) : { entrypoint: own.argv };
  if (found === undefined) return undefined;
  return { entrypoint: [], command: [], env: {}, workingDir: "/", programs: {}, ...found };
}

export const unknownImageText = (image: string): string =>
  `the sandbox pulls no images and knows no program for "${image}"; map it to one of this machine with: ` +
  `tombolo sandbox load ${image} -- <program> [argument...]`;

const mappingsFile = (stateDirectory: string): string => joinPath(stateDirectory, "images.json");

/** The user's mappings are read anew for every use: `tombolo sandbox load` works on a running sandbox. */
export class Images {
  private readonly stateDirectory: string;
  private readonly programs: Programs;

  constructor(stateDirectory: string, programs: Programs) {
    this.stateDirectory = stateDirectory;
    this.programs = programs;
  }

  async resolve(image: string): Promise<Recipe> {
    const recipe = recipeFor(image, await readMappings(this.stateDirectory), this.programs);
    if (recipe === undefined) throw new ImageProblem(unknownImageText(image));
    const script = recipe.entrypoint[1];
    if (script?.startsWith(this.programs.dist) === true && !fileExists(script)) {
      throw new ImageProblem(`the program of "${image}" is not built yet (${script} is missing); run: npm run build`);
    }
    return recipe;
  }
}

export interface ListedImage {
  readonly image: string;
  readonly says: string;
  /** Mapped by the user. */
  readonly isOwn: boolean;
}

/** What the sandbox can run: the user's mappings first, as they win. */
export async function listImages(stateDirectory: string): Promise<readonly ListedImage[]> {
  const own = (await readMappings(stateDirectory)).map(({ image, argv }) => ({ image, says: argv.join(" ") }));
  const given = builtIns.flatMap(({ repositories, says }) => repositories.map((image) => ({ image, says })));
  return [...own.map((one) => ({ ...one, isOwn: true })), ...given.map((one) => ({ ...one, isOwn: false }))];
}

/** Maps an image name to a program of this machine; a mapping of the same name is replaced. */
export async function loadImage(stateDirectory: string, image: string, argv: readonly string[]): Promise<void> {
  const others = (await readMappings(stateDirectory)).filter((one) => one.image !== image);
  await writeAtomically(mappingsFile(stateDirectory), `${JSON.stringify([...others, { image, argv }], null, 2)}\n`);
}

async function readMappings(stateDirectory: string): Promise<readonly UserMapping[]> {
  const file = mappingsFile(stateDirectory);
  const text = await readText(file);
  if (text === undefined) return [];
  const value = parsed(text);
  if (!Array.isArray(value)) throw new Error(`${file} is not a list of image mappings; remove it to start anew.`);
  return value.flatMap((one: unknown): UserMapping[] => {
    const isMapping =
      typeof one === "object" && one !== null && "image" in one && "argv" in one && Array.isArray(one.argv);
    return isMapping ? [{ image: String(one.image), argv: (one.argv as unknown[]).map(String) }] : [];
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
