"""What each documented function does beyond returning a value.

A name in none of these lists only reads. MUTATORS change their first argument: what that means depends on whether it is
an in-memory variable of this session; REMOVERS take data away from it. NAMED_OUTPUT have a rule of their own.
"""

from __future__ import annotations

from dolphin.script.builtin_names import BUILTIN_NAMES

_ADMIN = """
    addAccessControl addCacheRulesForComputeGroup addFunctionView addGroupMember addIPBlackList addIPWhiteList
    addMarketHoliday addMCPPrompt addMCPTool addNode addVolumes addGpFunction backupSettings callMCPTool
    cancelConsoleJob cancelJob cancelPKEYCompactionTask cancelRebalanceTask cancelRecoveryTask changePwd
    checkpointHaMvcc
    cleanOutdateLogFiles clearAllCache clearAllIOTDBLatestKeyCache clearAllIOTDBStaticTableCache
    clearAllTSDBSymbolBaseCache clearCachedDatabase clearCachedModules clearComputeNodeCache clearComputeNodeDiskCache
    clearDSCache! clearDSCacheNow closeSessions copyReplicas createGroup createUser deleteChunkMetaOnMasterById
    deleteGroup deleteGroupMember deleteMarketHoliday deleteReplicas deleteScheduledJob deleteUser deny
    disableActivePartition disableDynamicScriptOptimization disableQueryMonitor disableResourceTracking
    disableTSDBAsyncSorting dropFunctionView dropMCPPrompt dropMCPTool dumpHeapSample enableActivePartition
    enableDynamicScriptOptimization enableQueryMonitor enableResourceTracking enableTDEKey
    enableTransferCompressionToComputeNode enableTSDBAsyncSorting encryptModule eval flushComputeNodeMemCache
    flushOLAPCache flushPKEYCache flushTSDBCache forceMvccCheckpoint funcByName generateMachineFingerprint
    generateUserTicket getAuthenticatedUserTicket getSupportBundle grant initIMOLTPCheckpointEncryption installModule
    installPlugin listRemoteModules listRemotePlugins loadModule loadModuleFromScript loadPlugin lockUser login logout
    moveChunksAcrossVolume moveHotDataToColdVolume moveReplicas oauthLogin parseExpr pnodeRun publishMCPPrompts
    publishMCPTools purgeCacheEngine rebalanceChunksAmongDataNodes rebalanceChunksWithinDataNode remoteRun
    remoteRunCompatible remoteRunWithCompression removeCacheRulesForComputeGroup removeIPBlackList removeIPWhiteList
    removeNode resetDBDirMeta resetDfsRebalanceConcurrency resetDfsRecoveryConcurrency resetPwd resetRecoveryWorkerNum
    restoreDislocatedTablet restoreSettings resumeRecovery revoke rotateTDEKey rpc run runExternalQuery runScript runSQL
    saveModule scheduleJob scramClientFinal scramClientFirst setAtomicLevel setCacheEngineMemSize
    setChunkLastUpdateTime setComputeNodeCachingDelay setDatabaseClusterReplicationExecutionSet
    setDatabaseForClusterReplication setDatanodeRestartInterval setDynamicConfig setIPConnectionLimit setLogLevel
    setMaxBlockSizeForReservedMemory setMaxConnections setMaxJobParallelism setMaxJobPriority setMaxMemSize
    setMaxTransactionSize setMemLimitOfAllTempResults setMemLimitOfQueryResult setMemLimitOfTaskGroupResult
    setMemLimitOfTempResult setOLAPCacheEngineSize setOrcaCheckpointConfig setPrefetchComputeNodeData
    setRaftElectionTick setReservedMemSize setSessionExpiredTime setSystem setTableSensitiveColumn setTimeoutTick
    setTSDBCacheEngineSize shell skipClusterReplicationTask startClusterReplication startDataNode startHeapSample
    stopClusterReplication stopDataNode stopHeapSample submitJob submitJobEx submitJobEx2 suspendRecovery terminate test
    triggerCheckpointForIMOLTP triggerNodeReport triggerPKEYCompaction triggerTSDBCompaction unlockUser updateLicense
    updateMarketHoliday updateMCPPrompt updateMCPTool updatePKEYDeleteBitmap updateStreamGraphUserTickets
    warmupComputeNodeCache withdrawMCPPrompts withdrawMCPTools xdb
"""
_DESTROY = """
    clearTablePersistence deleteDataViewItems deleteRule deleteSparseReactiveMetric disableTablePersistence
    dropAggregator dropCatalog dropDatabase dropDataViewEngine dropDistributedInMemoryTable dropHaMvccTable
    dropIPCInMemoryTable dropOrcaStreamTable dropPartition dropSchema dropStreamEngine dropStreamGraph dropStreamTable
    dropTable purgeStreamGraphRecords removeTopicOffset restore restoreDB restoreTable revokeStreamingSQL
    revokeStreamingSQLTable rm rmdir saveAsNpy saveDatabase saveDualPartition saveModel savePartition saveTable
    saveText saveTextFile setRetentionPolicy sqlDelete truncate
    DStream::dropGraph StreamGraph::dropGraph StreamGraph::deleteRule
"""
_WRITE = """
    addEventListener addMetrics addRangePartitions addReactiveMetrics addSparseReactiveMetrics addValuePartitions
    appendEvent appendEventWithResponse appendForJoin appendMktData appendMsg appendOrcaStreamTable backup backupDB
    backupTable changelogStreamTable createAnomalyDetectionEngine createAsofJoinEngine createCatalog createCEPEngine
    createCrossSectionalAggregator createCrossSectionalEngine createCryptoOrderBookEngine createDailyTimeSeriesEngine
    createDataViewEngine createDeviceEngine createDimensionTable createDistributedInMemoryTable
    createDualOwnershipReactiveStateEngine createEqualJoinEngine createEquiJoinEngine createIMOLTPTable
    createIPCInMemoryTable createLeftSemiJoinEngine createLookupJoinEngine createMktDataEngine
    createNarrowReactiveStateEngine createNearestJoinEngine createOrcaHaKeyedStreamTable createOrcaHaStreamTable
    createOrcaKeyedStreamTable createOrcaLatestKeyedStreamTable createOrcaStreamTable createPartitionedTable
    createReactiveStateEngine createReactiveStatelessEngine createRuleEngine createSchema createSessionWindowEngine
    createSnapshotJoinEngine createSparseReactiveStateEngine createStreamBroadcastEngine createStreamDispatchEngine
    createStreamGraph createTable createThresholdEngine createTimeBucketEngine createTimeSeriesAggregator
    createTimeSeriesEngine createWindowJoinEngine declareStreamingSQLTable destroyMonitor emitEvent
    enableTableCachePurge enableTablePersistence enableTableShareAndCachePurge enableTableShareAndPersistence
    fflush haMvccTable haStreamTable loadTextEx migrate mkdir mvccTable registerStreamingSQL renameCatalog
    renameCatalogName renameSchema renameTable replay replayDS resubmitStreamGraph resumeTimerEngine routeEvent
    sendEvent
    setColumnComment setHaMvccColumnDefaultValue setHaMvccColumnNullability setStreamTableFilterColumn
    setStreamTableTimestamp setTableComment share spawnMonitor sqlUpdate startStreamGraph stopStreamGraph stopSubEngine
    stopTimerEngine streamEngineParser streamFilter subscribeStreamingSQL subscribeTable unsubscribeStreamingSQL
    unsubscribeTable updateDataViewItems updateRule useOrcaStreamEngine warmupOrcaStreamEngine warmupStreamEngine write
    writeBytes writeLine writeLines writeLog writeLogLevel writeObject writeRecord
    StreamGraph::submit StreamGraph::setConfigMap StreamGraph::setLocalConfigOnce StreamGraph::updateRule
    DStream::changelogSink DStream::haKeyedSink DStream::haSink DStream::keyedSink DStream::latestKeyedSink
    DStream::sink DStream::sharedDict DStream::sharedKeyedTable DStream::sharedTable
"""
_SESSION = """
    cacheDS! cacheDSNow close loadVocab setDefaultCatalog setGpFitnessFunc setRandomSeed unloadVocab
"""
_MUTATORS = "addColumn tableInsert tableUpsert"
_REMOVERS = "clear! dropColumns! erase! pop! remove! removeHead! removeTail! replaceColumn!"

_SPECIAL = "database eval file funcByName parseExpr saveText syncDict undef"
_STREAM_METHODS = """
    anomalyDetectionEngine asofJoinEngine buffer crossSectionalEngine dailyTimeSeriesEngine equalJoinEngine fork
    getOutputSchema haBuffer haKeyedSource haSource keyedBuffer keyedSource latestKeyedBuffer latestKeyedSource
    leftSemiJoinEngine lookupJoinEngine map name nearestJoinEngine parallelize reactiveStateEngine
    reactiveStatelessEngine ruleEngine sessionWindowEngine setEngineName source sourceByName str sync timeBucketEngine
    timeSeriesEngine timerEngine toGraphviz udfEngine windowJoinEngine
"""
_STORED_SOURCES = """
    createDimensionTable createDistributedInMemoryTable createIMOLTPTable createIPCInMemoryTable createPartitionedTable
    createTable haMvccTable haStreamTable loadDistributedInMemoryTable loadHaMvccTable loadIPCInMemoryTable
    loadMvccTable loadTable loadTableBySQL mvccTable
"""
_UNKNOWN_SOURCES = """
    cachedTable call eval getAggregator getDataViewEngine getLeftStream getRightStream getStreamEngine objByName objs
    pcall rpc run runScript useOrcaStreamTable
"""
_FUNCTION_TAKERS = """
    accumulate aggrTopN at byColumn byRow call conditionalIterate contextby cross each eachLeft eachPost eachPre
    eachRight evalTimer expr groupby iif imr iterate loop makeCall makeUnifiedCall moving movingValid mr nothrowCall
    nullCompare partial pcall pcross peach pipeline pivot ploop reduce regroup resample rolling rowGroupby segmentby
    sqlCol talib tmoving twindow unifiedCall window withNullFill
"""
_FUNCTION_FIRST = """
    accumulate aggrTopN byColumn byRow call contextby cross each eachLeft eachPost eachPre eachRight evalTimer groupby
    loop makeCall makeUnifiedCall moving movingValid nothrowCall nullCompare partial pcall pcross peach pivot ploop
    reduce rolling rowGroupby segmentby talib tmoving twindow unifiedCall window withNullFill
"""
_SHARING = "share enableTableShareAndPersistence enableTableShareAndCachePurge"

MUTATORS = frozenset(_MUTATORS.split()) | {name for name in BUILTIN_NAMES if name.endswith("!")}
REMOVERS = frozenset(_REMOVERS.split())
ADMIN = frozenset(_ADMIN.split())
DESTROY = frozenset(_DESTROY.split())
WRITE = frozenset(_WRITE.split())
SESSION = frozenset(_SESSION.split())
SPECIAL = frozenset(_SPECIAL.split())
SHARING = frozenset(_SHARING.split())

# methods of a stream graph: `graph.source(…).map(…).sink("t")`
STREAM_METHODS = frozenset(_STREAM_METHODS.split())
STREAM_WRITES = frozenset(name.split("::")[1] for name in WRITE | DESTROY if "::" in name)

# what these give back may be stored or shared data
STORED_SOURCES = frozenset(_STORED_SOURCES.split())
UNKNOWN_SOURCES = frozenset(_UNKNOWN_SOURCES.split())

# a bare name among the arguments of these is a function even in a query, where it could be a column
FUNCTION_TAKERS = frozenset(_FUNCTION_TAKERS.split())

# where their function stands among the arguments: first, or at these positions
FUNCTION_FIRST = frozenset(_FUNCTION_FIRST.split())
FUNCTION_POSITIONS = {
    "mr": (1, 2, 3), "imr": (2, 3, 4, 5), "resample": (2,), "regroup": (2,), "sqlCol": (1,), "pipeline": (0, 1),
}  # fmt: skip
