#!/bin/sh
# Starts what Spark on Kubernetes asks for. It says `driver` or `executor`, and the rest by environment variables;
# anything else is run as it is.
set -eu

case "${1:-}" in
driver)
    shift
    # Executors reach the driver by its service; it listens on the address of its pod.
    exec "$SPARK_HOME/bin/spark-submit" --deploy-mode client \
        --conf "spark.driver.bindAddress=$SPARK_DRIVER_BIND_ADDRESS" "$@"
    ;;
executor)
    # Java's options are numbered from 0, one a variable; each may hold spaces.
    set --
    i=0
    while eval "option=\${SPARK_JAVA_OPT_$i-}" && [ -n "$option" ]; do
        set -- "$@" "$option"
        i=$((i + 1))
    done
    exec java "$@" "-Xms$SPARK_EXECUTOR_MEMORY" "-Xmx$SPARK_EXECUTOR_MEMORY" \
        -cp "$SPARK_HOME/conf:$SPARK_HOME/jars/*${SPARK_CLASSPATH:+:$SPARK_CLASSPATH}" \
        org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend \
        --driver-url "$SPARK_DRIVER_URL" \
        --executor-id "$SPARK_EXECUTOR_ID" \
        --cores "$SPARK_EXECUTOR_CORES" \
        --app-id "$SPARK_APPLICATION_ID" \
        --hostname "$SPARK_EXECUTOR_POD_IP" \
        --resourceProfileId "$SPARK_RESOURCE_PROFILE_ID" \
        --podName "$SPARK_EXECUTOR_POD_NAME"
    ;;
*)
    exec "$@"
    ;;
esac
