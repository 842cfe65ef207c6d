# The image of a server: the binary alone, without a shell, as a user without rights.
#
#   docker build --tag jobcast .
#
# docs/guides/containers.md says how to run it. The base has the C library, libgcc and certificates;
# `static` and `scratch` have no C library, and a static GNU C library resolves no names.
FROM rust:1.95.0-bookworm AS build
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    cargo build --locked --profile dist --features aws --bin jobcast \
    && install -D --strip target/dist/jobcast /image/usr/local/bin/jobcast \
    && install -d /image/etc/jobcast /image/data

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="jobcast" \
      org.opencontainers.image.description="A real-time job-status service" \
      org.opencontainers.image.source="https://github.com/jobcast/jobcast" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /image/usr/local/bin/jobcast /usr/local/bin/jobcast
# The configuration, jobcast.toml and state-machines, is mounted or copied here.
COPY --from=build /image/etc/jobcast /etc/jobcast
# A named volume takes its owner from here.
COPY --from=build --chown=65532:65532 /image/data /data
ENV JOBCAST_LISTEN=0.0.0.0:8080 \
    JOBCAST_OPERATIONS_LISTEN=0.0.0.0:9090 \
    JOBCAST_DATA=/data \
    JOBCAST_LOG_FORMAT=json
WORKDIR /etc/jobcast
VOLUME /data
EXPOSE 8080 9090
# As a number: Kubernetes checks runAsNonRoot by it.
USER 65532:65532
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/jobcast"]
