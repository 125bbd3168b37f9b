#!/bin/sh
# Runs the Kafka class that this script's name stands for, as the scripts of the official image do.
set -eu
folder=$(dirname "$(readlink -f "$0")")/..
case $(basename "$0") in
  kafka-server-start.sh) class=kafka.Kafka heap=${KAFKA_HEAP_OPTS:--Xmx512m -Xms256m} ;;
  kafka-storage.sh) class=kafka.tools.StorageTool ;;
  kafka-topics.sh) class=org.apache.kafka.tools.TopicCommand ;;
  kafka-consumer-groups.sh) class=org.apache.kafka.tools.consumer.group.ConsumerGroupCommand ;;
  kafka-console-consumer.sh) class=org.apache.kafka.tools.consumer.ConsoleConsumer ;;
  kafka-console-producer.sh) class=org.apache.kafka.tools.ConsoleProducer ;;
  kafka-get-offsets.sh) class=org.apache.kafka.tools.GetOffsetShell ;;
  *) echo "$0: no class stands behind this name" >&2; exit 64 ;;
esac
# shellcheck disable=SC2086  # the options are words
exec java ${heap:--Xmx128m} ${KAFKA_OPTS:-} ${KAFKA_LOG4J_OPTS:--Dlog4j2.configurationFile="$folder/config/log4j2.properties"} \
  -cp "$folder/libs/*" "$class" "$@"
