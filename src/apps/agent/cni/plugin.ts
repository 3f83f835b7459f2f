/**
 * The CNI plugin that the agent puts on its node, chained behind the cluster's own: it holds a pod's start until the agent
 * has captured the pod. A shell script that talks through files, so that the node needs nothing but a POSIX shell
 * (CNI specification 1.0: environment and standard input in, JSON on standard output, errors as `code` and `msg`).
 */

/** Its file name, and its `type` in a network configuration list. */
export const pluginName = "tombolo-cni";

/** As the plugin sees it: on the node, below the folder that the agent has as its state directory. */
const requestFolder = "/run/tombolo/cni";

/** Ends of file names in the request folder; the name before it is `<command>-<container id>`. */
export const ending = { request: ".request", result: ".result", error: ".error" } as const;

/** CNI's "try again later". */
export const tryAgainLater = 11;

/** So long the plugin waits for an answer; the kubelet then tries the pod again. */
export const answerSecondsMax = 15;
const pollSeconds = 0.02;

const absent =
  "The mesh agent of this node does not answer, so no pod can start here that the mesh might have to capture";
const remedy =
  "see the pods of DaemonSet tombolo-agent in istio-system; without a mesh, remove tombolo-cni from the node's CNI configuration";

export const pluginScript = (folder = requestFolder): string => `#!/bin/sh
# Holds a pod's start until the mesh agent of this node has captured it. Written by the agent; changes are lost.
folder=${folder}
case "$CNI_COMMAND" in
  VERSION)
    echo '{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}'
    exit 0 ;;
  ADD | DEL) ;;
  *) exit 0 ;;
esac
fail() {
  [ "$CNI_COMMAND" = DEL ] && exit 0
  printf '{"cniVersion":"1.0.0","code":${tryAgainLater},"msg":"%s"}\\n' "${absent}; ${remedy}."
  exit 1
}
umask 077
[ -d "$folder" ] || fail
name="$folder/$CNI_COMMAND-$CNI_CONTAINERID"
rm -f "$name${ending.result}" "$name${ending.error}"
{ printf 'CNI_NETNS=%s\\nCNI_ARGS=%s\\n\\n' "$CNI_NETNS" "$CNI_ARGS" && cat; } >"$name.new" || fail
mv "$name.new" "$name${ending.request}" || fail
[ "$CNI_COMMAND" = DEL ] && exit 0
left=${answerSecondsMax / pollSeconds}
while [ "$left" -gt 0 ]; do
  if [ -f "$name${ending.result}" ]; then
    cat "$name${ending.result}"
    rm -f "$name${ending.result}"
    exit 0
  fi
  if [ -f "$name${ending.error}" ]; then
    cat "$name${ending.error}"
    rm -f "$name${ending.error}"
    exit 1
  fi
  sleep ${pollSeconds}
  left=$((left - 1))
done
rm -f "$name${ending.request}"
fail
`;
