# Images of the mesh and of the sample apps, from this checkout:
#   docker build --target tombolod -t tombolo/tombolod:0.1.0 .
#   docker build --target agent    -t tombolo/agent:0.1.0 .
# and --target samples for tombolo/httpbin, tombolo/ledger and tombolo/tcp.
ARG BASE=debian:trixie-slim

FROM ${BASE} AS runtime
RUN apt-get update \
  && apt-get install -y --no-install-recommends ca-certificates nodejs \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /tombolo

FROM runtime AS build
RUN apt-get update && apt-get install -y --no-install-recommends npm python3 python3-pip
COPY package.json package-lock.json .npmrc ./
RUN npm ci --ignore-scripts --no-audit --no-fund
COPY . .
RUN node scripts/build.mjs
# The same Envoy, and the API schema that is read out of it, as everywhere else.
RUN node scripts/envoy.mjs
# Of the packages that are not bundled, the agent needs the one that enters network namespaces.
RUN npm prune --omit=dev --ignore-scripts --no-audit --no-fund && mkdir -p /native/node_modules \
  && cp -r node_modules/koffi node_modules/@koromix /native/node_modules/

FROM runtime AS tombolod
COPY --from=build /tombolo/dist/tombolod.js /tombolo/dist/
USER 1337:1337
ENTRYPOINT ["node", "/tombolo/dist/tombolod.js"]

FROM runtime AS agent
RUN apt-get update \
  && apt-get install -y --no-install-recommends iproute2 nftables \
  && rm -rf /var/lib/apt/lists/*
COPY --from=build /tombolo/.cache/envoy/envoy/_bin/envoy /usr/local/bin/envoy
COPY --from=build /tombolo/.cache/envoy.fds /tombolo/.cache/envoy.fds
COPY --from=build /native/node_modules /tombolo/node_modules
COPY --from=build /tombolo/dist/agent.js /tombolo/dist/
ENTRYPOINT ["node", "/tombolo/dist/agent.js"]

FROM runtime AS samples
ARG SAMPLE=httpbin
COPY --from=build /tombolo/dist/${SAMPLE}.js /tombolo/dist/sample.js
USER 1337:1337
ENTRYPOINT ["node", "/tombolo/dist/sample.js"]
