/** Every command of the CLI, in the order in which help lists them. */
import type { Command } from "./command.ts";
import { check } from "./commands/check.ts";
import { explain } from "./commands/explain.ts";
import { expose } from "./commands/expose.ts";
import { gets } from "./commands/get.ts";
import { install, uninstall } from "./commands/install.ts";
import { link, shortLink, unlink } from "./commands/link.ts";
import { images, load } from "./commands/images.ts";
import { faultCommands } from "./commands/sandbox-fault.ts";
import { nodeStart, nodeStop } from "./commands/sandbox-node.ts";
import { down, status, up } from "./commands/sandbox.ts";
import { sandboxShell } from "./commands/sandbox-shell.ts";
import { version } from "./commands/version.ts";

export const commands: readonly Command[] = [
  up,
  down,
  status,
  sandboxShell,
  load,
  images,
  nodeStop,
  nodeStart,
  ...faultCommands,
  install,
  uninstall,
  expose,
  link,
  shortLink,
  unlink,
  check,
  explain,
  ...gets,
  version,
];
